/** What a route makes of a request's path before it sends it on. */
import type { HttpRouteSpec } from "../../../../shared/objects/kinds/virtual-service.ts";
import type { RouteActionSchema } from "../../../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { Init } from "../wire.ts";
import type { RouteMatchInit } from "./match.ts";

type RewriteInit = Pick<Init<typeof RouteActionSchema>, "prefixRewrite" | "regexRewrite">;

export function rewriteOf(
  rewrite: HttpRouteSpec["rewrite"],
  { pathSpecifier }: RouteMatchInit,
  gatewayApi: boolean,
): RewriteInit {
  if (rewrite === undefined) return {};
  const { uri = "", uriRegexRewrite: regex } = rewrite;
  if (regex !== undefined)
    return { regexRewrite: { pattern: { regex: regex.match }, substitution: regex.rewrite } };
  if (uri === "") return {};
  if (!gatewayApi || uri !== "/") return { prefixRewrite: uri };
  const prefix = pathSpecifier?.case === "pathSeparatedPrefix" ? pathSpecifier.value : "";
  // A path of the prefix alone must still end up with a slash.
  return {
    regexRewrite: { pattern: { regex: `^${quoted(prefix)}(/?)(.*)` }, substitution: "/\\2" },
  };
}

/** As RE2 quotes: every character with a meaning, and no other. */
export function quoted(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}
