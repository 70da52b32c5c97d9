/** jwt_authn: who issues tokens, and what is required of which requests. */
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
  type RequirementRule,
  RequirementRuleSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { FilterEnvironment } from "../../filters/environment.ts";
import type { HttpFilter } from "../../filters/filter.ts";
import type { JwtConfig, JwtProvider, JwtRequirement, JwtRule } from "../../filters/jwt/config.ts";
import { JwtFilter } from "../../filters/jwt/filter.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";
import { compileMatch } from "../route-match.ts";
import { compileProvider } from "./jwt-provider.ts";
import { compileRequirement } from "./jwt-requirement.ts";
import { readConfig, type TypedConfig } from "./typed-config.ts";

export function compileJwt(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
): HttpFilter {
  const message = readConfig(config, JwtAuthenticationSchema, path);
  const compiled = compileJwtConfig(message, path, notes);
  // Keys that are to be there before the first request.
  for (const { keys } of compiled.providers.values())
    if (keys.kind === "remote" && keys.spec.prefetch !== undefined)
      environment.keySets.get(keys.spec);
  return new JwtFilter(name, compiled, environment);
}

export function compileJwtConfig(message: JwtAuthentication, path: Path, notes: Notes): JwtConfig {
  checkFields(message, JwtAuthenticationSchema, path, notes, {
    used: [
      "providers",
      "rules",
      "bypass_cors_preflight",
      "requirement_map",
      "strip_failure_response",
    ],
  });
  const providers = new Map<string, JwtProvider>();
  // Protobuf maps have no order; the reference's has the order of its keys.
  for (const [key, provider] of Object.entries(message.providers).sort(([a], [b]) =>
    a < b ? -1 : 1,
  ))
    providers.set(key, compileProvider(key, provider, item(path, "providers", key), notes));
  const requirements = new Map<string, JwtRequirement>();
  for (const [key, requirement] of Object.entries(message.requirementMap)) {
    const where = item(path, "requirement_map", key);
    requirements.set(key, compileRequirement(requirement, where, notes, providers));
  }
  return {
    providers,
    rules: message.rules.map((rule, index) =>
      compileRule(rule, item(path, "rules", index), notes, providers, requirements),
    ),
    bypassCorsPreflight: message.bypassCorsPreflight,
    stripFailureResponse: message.stripFailureResponse,
  };
}

function compileRule(
  message: RequirementRule,
  path: Path,
  notes: Notes,
  providers: ReadonlyMap<string, JwtProvider>,
  requirements: ReadonlyMap<string, JwtRequirement>,
): JwtRule {
  checkFields(message, RequirementRuleSchema, path, notes, {
    used: ["match", "requires", "requirement_name"],
  });
  const match = compileMatch(message.match, at(path, "match"), notes);
  const { requirementType } = message;
  switch (requirementType.case) {
    case undefined:
      return { match, requires: undefined };
    case "requires":
      return {
        match,
        requires: compileRequirement(requirementType.value, at(path, "requires"), notes, providers),
      };
    case "requirementName": {
      const requires = requirements.get(requirementType.value);
      if (requires === undefined)
        throw new CompileError(
          at(path, "requirement_name"),
          `no ${requirementType.value} is defined`,
        );
      return { match, requires };
    }
  }
}
