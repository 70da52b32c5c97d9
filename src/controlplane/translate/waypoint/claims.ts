/** Claims of a validated token, as the token filter leaves them in the metadata of a request. */
import type { MetadataMatcherSchema } from "../../../shared/wire/gen/envoy/type/matcher/v3/metadata_pb.js";
import type { ValueMatcherSchema } from "../../../shared/wire/gen/envoy/type/matcher/v3/value_pb.js";
import type { StringMatcherInit } from "./routes/match.ts";
import type { Init } from "./wire.ts";

export type MetadataMatcherInit = Init<typeof MetadataMatcherSchema>;
export type ValueMatcherInit = Init<typeof ValueMatcherSchema>;

export const JWT_FILTER = "envoy.filters.http.jwt_authn";
export const JWT_PAYLOAD = "payload";

const ROUTING_PREFIX = "@request.auth.claims";

/** The path of a claim, where a route's header match means one: `@request.auth.claims.a.b` or `…[a][b]`. */
export function routingClaim(header: string): readonly string[] | undefined {
  if (header.length <= ROUTING_PREFIX.length) return undefined;
  if (header.slice(0, ROUTING_PREFIX.length).toLowerCase() !== ROUTING_PREFIX) return undefined;
  const rest = header.slice(ROUTING_PREFIX.length);
  if (rest.startsWith(".") && rest.length > 1) return rest.slice(1).split(".");
  if (rest.startsWith("[") && rest.endsWith("]") && rest.length > 2)
    return rest.slice(1, -1).split("][");
  return undefined;
}

/** A claim may be one value or a list that holds it. */
export function claimMatcher(
  claim: readonly string[],
  value: StringMatcherInit | undefined,
): MetadataMatcherInit {
  return claimValueMatcher(
    claim,
    value === undefined ? {} : { matchPattern: { case: "stringMatch", value } },
  );
}

export function claimValueMatcher(
  claim: readonly string[],
  value: ValueMatcherInit,
): MetadataMatcherInit {
  const inList: ValueMatcherInit = {
    matchPattern: {
      case: "listMatch",
      value: { matchPattern: { case: "oneOf", value } },
    },
  };
  return {
    filter: JWT_FILTER,
    path: [JWT_PAYLOAD, ...claim].map((key) => ({ segment: { case: "key", value: key } })),
    value: { matchPattern: { case: "orMatch", value: { valueMatchers: [inList, value] } } },
  };
}
