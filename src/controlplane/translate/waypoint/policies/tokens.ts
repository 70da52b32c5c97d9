/** The filter that validates tokens, from RequestAuthentications. A token may be missing, but not be wrong. */

import type { JwtRuleSpec } from "../../../../shared/objects/kinds/request-authentication.ts";
import type { ObjectOf } from "../../../../shared/objects/kinds.ts";
import {
  JwtAuthenticationSchema,
  type JwtProviderSchema,
  type JwtRequirementSchema,
} from "../../../../shared/wire/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { JWT_FILTER, JWT_PAYLOAD } from "../claims.ts";
import { type HttpFilterInit, typed } from "../filters.ts";
import { byText, type Init, pack } from "../wire.ts";
import { FAKE_KEYS } from "./fake-keys.ts";

export type RequestAuthentication = ObjectOf<"RequestAuthentication">;
type ProviderInit = Init<typeof JwtProviderSchema>;
type RequirementInit = Init<typeof JwtRequirementSchema>;

/** Key sets by where they come from, as far as they have been fetched. */
export type KeySets = ReadonlyMap<string, string>;

export interface KeySource {
  /** Empty: it is found through the issuer. */
  readonly uri: string;
  readonly issuer: string;
  readonly timeoutMs: number;
}

const DEFAULT_TIMEOUT_MS = 5000;
const ALWAYS_LISTS = ["permission", "scope"];

/** Undefined for a rule that carries its keys with it. */
export function keySourceOf(rule: JwtRuleSpec): KeySource | undefined {
  if (rule.jwks !== "") return undefined;
  const uri = rule.jwksUri || (rule.jwks_uri ?? "");
  return { uri, issuer: rule.issuer, timeoutMs: rule.timeout ?? DEFAULT_TIMEOUT_MS };
}

export function keySourceName({ uri, issuer }: KeySource): string {
  return uri === "" ? `issuer ${issuer}` : uri;
}

/** Undefined when no policy has a rule. */
export function tokenFilter(
  policies: readonly RequestAuthentication[],
  keySets: KeySets,
): HttpFilterInit | undefined {
  const rules = policies
    .flatMap(({ spec }) => spec.jwtRules)
    .sort((a, b) => byText(a.issuer, b.issuer));
  if (rules.length === 0) return undefined;
  const named = rules.map((rule, index) => ({ name: `origins-${index}`, rule }));
  const config = pack(JwtAuthenticationSchema, {
    providers: Object.fromEntries(named.map(({ name, rule }) => [name, provider(rule, keySets)])),
    rules: [
      {
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        requirementType: {
          case: "requires",
          value: requirement(named.map(({ name }) => name)),
        },
      },
    ],
    bypassCorsPreflight: true,
  });
  return typed(JWT_FILTER, config);
}

function provider(rule: JwtRuleSpec, keySets: KeySets): ProviderInit {
  const source = keySourceOf(rule);
  const keys = source === undefined ? rule.jwks : (keySets.get(keySourceName(source)) ?? FAKE_KEYS);
  return {
    issuer: rule.issuer,
    audiences: [...rule.audiences],
    forward: rule.forwardOriginalToken,
    forwardPayloadHeader: rule.outputPayloadToHeader,
    payloadInMetadata: JWT_PAYLOAD,
    clearRouteCache: true,
    normalizePayloadInMetadata: {
      spaceDelimitedClaims: [...new Set([...rule.spaceDelimitedClaims, ...ALWAYS_LISTS])].sort(
        byText,
      ),
    },
    claimToHeaders: rule.outputClaimToHeaders.map(({ header, claim }) => ({
      headerName: header,
      claimName: claim,
    })),
    fromHeaders: rule.fromHeaders.map(({ name, prefix }) => ({ name, valuePrefix: prefix })),
    fromParams: [...rule.fromParams],
    fromCookies: [...rule.fromCookies],
    jwksSourceSpecifier: {
      case: "localJwks",
      value: { specifier: { case: "inlineString", value: keys } },
    },
  };
}

/** With several issuers one token is enough, yet each that is sent must be valid; they may share a place. */
function requirement(names: readonly string[]): RequirementInit {
  const optional = names.map((name) => anyOf([byProvider(name), missing]));
  const [single] = optional;
  if (optional.length === 1 && single !== undefined) return single;
  const all: RequirementInit = {
    requiresType: { case: "requiresAll", value: { requirements: optional } },
  };
  return anyOf([...names.map(byProvider), all]);
}

const missing: RequirementInit = { requiresType: { case: "allowMissing", value: {} } };

function byProvider(name: string): RequirementInit {
  return { requiresType: { case: "providerName", value: name } };
}

function anyOf(requirements: RequirementInit[]): RequirementInit {
  return { requiresType: { case: "requiresAny", value: { requirements } } };
}
