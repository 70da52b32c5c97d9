/** What accepted tokens leave in a request: headers, metadata, and whether the token itself goes on. */
import type { MetadataValue, RequestContext } from "../filter.ts";
import type { Accepted, Failed } from "./attempt.ts";
import type { JwtConfig, JwtProvider } from "./config.ts";
import { removeToken } from "./locate.ts";
import { statusCode } from "./status.ts";
import type { Claims, Token } from "./token.ts";

/** A contract: policies and routes look here (wire/waypoint.md section 6.4). */
const NAMESPACE = "envoy.filters.http.jwt_authn";

/** Headers that only we may set: a client could otherwise claim what no token says. */
export function ownHeaders({ providers }: JwtConfig): readonly string[] {
  return [...new Set([...providers.values()].flatMap(headersOf))];
}

function headersOf({ forwardPayloadHeader, claimToHeaders }: JwtProvider): readonly string[] {
  const claims = claimToHeaders.map(({ header }) => header);
  return forwardPayloadHeader === "" ? claims : [forwardPayloadHeader, ...claims];
}

/** Where several parts of a requirement write the same header, the last one's stays. */
export function applyAll(accepted: readonly Accepted[], context: RequestContext): void {
  let part = accepted[0]?.part;
  for (const one of accepted) {
    if (one.part !== part)
      for (const name of headersOf(one.provider)) context.head.fields.remove(name);
    part = one.part;
    apply(one, context);
  }
}

function apply({ provider, token, located }: Accepted, context: RequestContext): void {
  const { head } = context;
  if (provider.forwardPayloadHeader !== "")
    head.fields.append(provider.forwardPayloadHeader, forwardedPayload(provider, token));
  for (const { header, claim } of provider.claimToHeaders) {
    const text = claimText(valueAt(token.payload, claim));
    if (text !== "") head.fields.append(header, text);
  }
  if (!provider.forward) removeToken(located.location, head);
  const metadata = metadataOf(provider, token);
  if (metadata !== undefined) context.setMetadata(NAMESPACE, metadata);
  if (provider.clearRouteCache) context.clearRoute();
}

function forwardedPayload(provider: JwtProvider, { payloadBase64 }: Token): string {
  if (!provider.padForwardPayload) return payloadBase64;
  return payloadBase64.padEnd(Math.ceil(payloadBase64.length / 4) * 4, "=");
}

function valueAt(claims: Claims, path: readonly string[]): MetadataValue | undefined {
  let value: MetadataValue | undefined = claims;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Array.isArray(value) ? undefined : (value as Claims)[key];
  }
  return value;
}

const UINT64_LIMIT = 2 ** 64;

/** As Envoy prints claims; "" leaves the header out. */
function claimText(value: MetadataValue | undefined): string {
  switch (typeof value) {
    case "string":
      // A line break in a claim must not become one in a message.
      return /[\0\r\n]/.test(value) ? "" : value;
    case "boolean":
      return String(value);
    case "number":
      return Number.isInteger(value) && value >= 0 && value < UINT64_LIMIT
        ? BigInt(value).toString()
        : value.toFixed(6);
    case "object":
      return value === null ? "" : Buffer.from(JSON.stringify(value)).toString("base64");
    default:
      return "";
  }
}

/** The same token gives the same metadata: made when it is first seen, gone with it. */
const made = new WeakMap<Token, Map<JwtProvider, { readonly [key: string]: MetadataValue }>>();

function metadataOf(
  provider: JwtProvider,
  token: Token,
): { readonly [key: string]: MetadataValue } | undefined {
  if (provider.payloadInMetadata === "" && provider.headerInMetadata === "") return undefined;
  let byProvider = made.get(token);
  if (byProvider === undefined) {
    byProvider = new Map();
    made.set(token, byProvider);
  }
  let metadata = byProvider.get(provider);
  if (metadata === undefined) {
    metadata = {
      ...(provider.headerInMetadata === "" ? {} : { [provider.headerInMetadata]: token.header }),
      ...(provider.payloadInMetadata === ""
        ? {}
        : { [provider.payloadInMetadata]: normalized(token.payload, provider) }),
    };
    byProvider.set(provider, metadata);
  }
  return metadata;
}

function normalized(payload: Claims, { spaceDelimitedClaims }: JwtProvider): Claims {
  const changed = Object.entries(payload).map(([name, value]): [string, MetadataValue] => [
    name,
    typeof value === "string" && spaceDelimitedClaims.includes(name)
      ? value.split(" ").filter((each) => each !== "")
      : value,
  ]);
  return Object.fromEntries(changed);
}

/** Policies may tell a missing token from a bad one by it. */
export function applyFailure({ provider, status }: Failed, context: RequestContext): void {
  if (provider.failedStatusInMetadata === "") return;
  context.setMetadata(NAMESPACE, {
    [provider.failedStatusInMetadata]: { code: String(statusCode(status)), message: status },
  });
}
