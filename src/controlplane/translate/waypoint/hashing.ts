/** What of a request decides its endpoint, where a DestinationRule asks for consistent hashing. */
import type { ConsistentHashSpec } from "../../../shared/objects/kinds/destination-rule.ts";
import type { RouteAction_HashPolicySchema } from "../../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import { durationOf, type Init } from "./wire.ts";

export type HashPolicyInit = Init<typeof RouteAction_HashPolicySchema>;

export function hashPolicy(hash: ConsistentHashSpec | undefined): HashPolicyInit | undefined {
  if (hash === undefined) return undefined;
  if (hash.httpHeaderName !== undefined)
    return policy({ case: "header", value: { headerName: hash.httpHeaderName } });
  if (hash.httpCookie !== undefined) {
    const { name, path, ttl, attributes } = hash.httpCookie;
    return policy({
      case: "cookie",
      value: {
        name,
        path,
        ...(ttl === undefined ? {} : { ttl: durationOf(ttl) }),
        attributes: attributes.map((attribute) => ({ ...attribute })),
      },
    });
  }
  if (hash.useSourceIp !== undefined)
    return policy({ case: "connectionProperties", value: { sourceIp: hash.useSourceIp } });
  if (hash.httpQueryParameterName !== undefined)
    return policy({ case: "queryParameter", value: { name: hash.httpQueryParameterName } });
  return undefined;
}

function policy(policySpecifier: NonNullable<HashPolicyInit["policySpecifier"]>): HashPolicyInit {
  return { policySpecifier };
}
