/** Routes that answer by themselves: redirects and fixed answers. */
import type { HttpRouteSpec } from "../../../../shared/objects/kinds/virtual-service.ts";
import {
  RedirectAction_RedirectResponseCode as Code,
  type RedirectActionSchema,
  type RouteSchema,
} from "../../../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { Init } from "../wire.ts";

type Action = Init<typeof RouteSchema>["action"];
type RedirectInit = Init<typeof RedirectActionSchema>;
type Redirect = NonNullable<HttpRouteSpec["redirect"]>;

const CODES: ReadonlyMap<number, Code> = new Map([
  [0, Code.MOVED_PERMANENTLY],
  [301, Code.MOVED_PERMANENTLY],
  [302, Code.FOUND],
  [303, Code.SEE_OTHER],
  [307, Code.TEMPORARY_REDIRECT],
  [308, Code.PERMANENT_REDIRECT],
]);

/** Undefined for a code that no redirect has: the route then has no action at all. */
export function redirectAction(redirect: Redirect, listenerPort: number): Action | undefined {
  const responseCode = CODES.get(redirect.redirectCode);
  if (responseCode === undefined) return undefined;
  const value: RedirectInit = {
    hostRedirect: redirect.authority,
    responseCode,
    portRedirect: portOf(redirect, listenerPort),
    pathRewriteSpecifier:
      redirect.prefixRewrite === ""
        ? { case: "pathRedirect", value: redirect.uri }
        : { case: "prefixRewrite", value: redirect.prefixRewrite },
    ...(redirect.scheme === ""
      ? {}
      : { schemeRewriteSpecifier: { case: "schemeRedirect", value: redirect.scheme } }),
  };
  return { case: "redirect", value };
}

/** Zero where the scheme says it already. */
function portOf({ derivePort, port, scheme }: Redirect, listenerPort: number): number {
  const stated = derivePort === "FROM_REQUEST_PORT" ? listenerPort : (port ?? 0);
  if (stated === 80 && (scheme === "" || scheme === "http")) return 0;
  if (stated === 443 && scheme === "https") return 0;
  return stated;
}

export function directResponse({
  status,
  body,
}: NonNullable<HttpRouteSpec["directResponse"]>): Action {
  if (body?.string !== undefined)
    return {
      case: "directResponse",
      value: { status, body: { specifier: { case: "inlineString", value: body.string } } },
    };
  if (body?.bytes !== undefined) {
    const value = Uint8Array.from(Buffer.from(body.bytes, "base64"));
    return {
      case: "directResponse",
      value: { status, body: { specifier: { case: "inlineBytes", value } } },
    };
  }
  return { case: "directResponse", value: { status } };
}
