/** HashPolicy of routes. */
import {
  type RouteAction_HashPolicy,
  RouteAction_HashPolicy_CookieSchema,
  RouteAction_HashPolicy_HeaderSchema,
  RouteAction_HashPolicySchema,
} from "../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { HashPolicy } from "../model/route.ts";
import { milliseconds } from "./cluster-values.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { compileRewrite } from "./regex.ts";

const policyFields = {
  used: ["header", "cookie", "connection_properties", "query_parameter", "terminal"],
};
const headerFields = { used: ["header_name", "regex_rewrite"] };
const cookieFields = { used: ["name", "ttl", "path", "attributes"] };

/** Policies at `path`[i]; one that can never apply gives nothing. */
export function compileHashPolicies(
  policies: readonly RouteAction_HashPolicy[],
  path: Path,
  notes: Notes,
): readonly HashPolicy[] {
  return policies.flatMap((policy, index) => {
    const compiled = compileHashPolicy(policy, item(path, "hash_policy", index), notes);
    return compiled === undefined ? [] : [compiled];
  });
}

function compileHashPolicy(
  policy: RouteAction_HashPolicy,
  path: Path,
  notes: Notes,
): HashPolicy | undefined {
  checkFields(policy, RouteAction_HashPolicySchema, path, notes, policyFields);
  const { policySpecifier: specifier, terminal } = policy;
  switch (specifier.case) {
    case "header": {
      const inside = at(path, "header");
      const { value: header } = specifier;
      checkFields(header, RouteAction_HashPolicy_HeaderSchema, inside, notes, headerFields);
      const name = header.headerName.toLowerCase();
      if (header.regexRewrite === undefined) return { kind: "header", terminal, name };
      const rewrite = compileRewrite(header.regexRewrite, at(inside, "regex_rewrite"), notes);
      return { kind: "header", terminal, name, rewrite };
    }
    case "cookie": {
      const { value: cookie } = specifier;
      const inside = at(path, "cookie");
      checkFields(cookie, RouteAction_HashPolicy_CookieSchema, inside, notes, cookieFields);
      return {
        kind: "cookie",
        terminal,
        name: cookie.name,
        ttlMs: cookie.ttl === undefined ? undefined : milliseconds(cookie.ttl, 0),
        path: cookie.path,
        attributes: cookie.attributes.map(({ name, value }) => [name, value] as const),
      };
    }
    case "connectionProperties":
      return specifier.value.sourceIp ? { kind: "source-ip", terminal } : undefined;
    case "queryParameter":
      return { kind: "query", terminal, name: specifier.value.name };
    default:
      throw new CompileError(path, "says nothing to hash");
  }
}
