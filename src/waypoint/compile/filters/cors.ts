/** CORS: the filter is empty, its settings stand on routes. */
import {
  CorsPolicySchema,
  CorsSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { CorsFilter } from "../../filters/cors/filter.ts";
import type { CorsPolicy } from "../../filters/cors/policy.ts";
import type { HttpFilter } from "../../filters/filter.ts";
import { compileStringMatcher } from "../matchers.ts";
import { at, checkFields, item, type Notes, type Path } from "../notes.ts";
import { compileRuntimeFraction } from "../value-matchers.ts";
import { readConfig, type TypedConfig } from "./typed-config.ts";

export function compileCors(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
): HttpFilter {
  checkFields(readConfig(config, CorsSchema, path), CorsSchema, path, notes, { used: [] });
  return new CorsFilter(name);
}

export function compileCorsPolicy(config: TypedConfig, path: Path, notes: Notes): CorsPolicy {
  const message = readConfig(config, CorsPolicySchema, path);
  checkFields(message, CorsPolicySchema, path, notes, {
    used: [
      "allow_origin_string_match",
      "allow_methods",
      "allow_headers",
      "expose_headers",
      "max_age",
      "allow_credentials",
      "filter_enabled",
      "allow_private_network_access",
      "forward_not_matching_preflights",
    ],
    // Counts origins and enforces nothing.
    decorative: ["shadow_enabled"],
  });
  const { filterEnabled } = message;
  return {
    enabled:
      filterEnabled && compileRuntimeFraction(filterEnabled, at(path, "filter_enabled"), notes),
    allowOrigins: message.allowOriginStringMatch.map((matcher, index) =>
      compileStringMatcher(matcher, item(path, "allow_origin_string_match", index), notes),
    ),
    allowMethods: message.allowMethods,
    allowHeaders: message.allowHeaders,
    exposeHeaders: message.exposeHeaders,
    maxAge: message.maxAge,
    allowCredentials: message.allowCredentials ?? false,
    allowPrivateNetwork: message.allowPrivateNetworkAccess ?? false,
    forwardNotMatchingPreflights: message.forwardNotMatchingPreflights ?? true,
  };
}
