/** CUSTOM policies: the rules are tried without effect, and where one matches an authorizer is asked. */
import { RBAC_Action } from "../../../../shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import { ExtAuthzSchema as HttpExtAuthzSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { RBACSchema as HttpRbacSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { ExtAuthzSchema as TcpExtAuthzSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { RBACSchema as TcpRbacSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import type { MetadataMatcherInit } from "../claims.ts";
import { type HttpFilterInit, type NetworkFilterInit, typed } from "../filters.ts";
import { byText, pack } from "../wire.ts";
import { HTTP_RBAC, TCP_RBAC, TCP_STAT_PREFIX } from "./authorization.ts";
import type { Authorizer } from "./authorizers.ts";
import { type AuthorizationPolicy, isDryRun, type RulesInit, rulesOf } from "./rules.ts";

const SHADOW_PREFIX = "istio_ext_authz_";
const NAME_PREFIX = "istio-ext-authz";
const BAD_SUFFIX = "-deny-due-to-bad-CUSTOM-action";

/** Authorizers by name; undefined for one that is not there or not valid. */
export type FindAuthorizer = (name: string) => Authorizer | undefined;

export interface CustomContext {
  readonly trustDomains: readonly string[];
  readonly find: FindAuthorizer;
}

interface ProviderRules {
  readonly provider: string;
  readonly enforced: RulesInit;
  readonly dryRun: RulesInit | undefined;
}

export function httpCustom(
  policies: readonly AuthorizationPolicy[],
  { trustDomains, find }: CustomContext,
): readonly HttpFilterInit[] {
  const all = byProvider(policies, trustDomains, false);
  return all.flatMap(({ provider, enforced, dryRun }) => {
    const authorizer = all.length > 1 ? undefined : find(provider);
    if (authorizer === undefined)
      return [typed(HTTP_RBAC, pack(HttpRbacSchema, { rules: denying(enforced) }))];
    const rbac = pack(HttpRbacSchema, tried(enforced, dryRun));
    const ask = pack(HttpExtAuthzSchema, {
      ...authorizer.http,
      filterEnabledMetadata: whereMatched(HTTP_RBAC, provider),
    });
    return [typed(HTTP_RBAC, rbac), typed("envoy.filters.http.ext_authz", ask)];
  });
}

/** An authorizer over HTTP cannot judge connections, and is not asked about them. */
export function tcpCustom(
  policies: readonly AuthorizationPolicy[],
  { trustDomains, find }: CustomContext,
): readonly NetworkFilterInit[] {
  const all = byProvider(policies, trustDomains, true);
  const statPrefix = TCP_STAT_PREFIX;
  return all.flatMap(({ provider, enforced, dryRun }): readonly NetworkFilterInit[] => {
    const authorizer = all.length > 1 ? undefined : find(provider);
    if (authorizer === undefined)
      return [typed(TCP_RBAC, pack(TcpRbacSchema, { rules: denying(enforced), statPrefix }))];
    if (authorizer.tcp === undefined) return [];
    const rbac = pack(TcpRbacSchema, { ...tried(enforced, dryRun), statPrefix });
    const ask = pack(TcpExtAuthzSchema, {
      ...authorizer.tcp,
      filterEnabledMetadata: whereMatched(TCP_RBAC, provider),
    });
    return [typed(TCP_RBAC, rbac), typed("envoy.filters.network.ext_authz", ask)];
  });
}

function byProvider(
  policies: readonly AuthorizationPolicy[],
  trustDomains: readonly string[],
  tcp: boolean,
): readonly ProviderRules[] {
  const names = new Set(policies.map(providerOf));
  const context = { trustDomains, tcp, action: RBAC_Action.DENY };
  return [...names].sort(byText).map((provider) => {
    const own = policies.filter((policy) => providerOf(policy) === provider);
    const prefix = provider === "" ? `${NAME_PREFIX}-` : `${NAME_PREFIX}-${provider}-`;
    const dryRun = own.filter(isDryRun);
    const enforced = own.filter((policy) => !isDryRun(policy));
    return {
      provider,
      enforced: rulesOf(enforced, context, prefix),
      dryRun: dryRun.length === 0 ? undefined : rulesOf(dryRun, context, prefix),
    };
  });
}

function providerOf({ spec }: AuthorizationPolicy): string {
  return spec.provider?.name ?? "";
}

function tried(enforced: RulesInit, dryRun: RulesInit | undefined) {
  const some = dryRun !== undefined && Object.keys(dryRun.policies ?? {}).length > 0;
  return {
    shadowRules: enforced,
    shadowRulesStatPrefix: SHADOW_PREFIX,
    ...(some ? { rules: dryRun } : {}),
  };
}

/** Without an authorizer nobody can say yes. */
function denying(rules: RulesInit): RulesInit {
  const entries = Object.entries(rules.policies ?? {});
  return {
    action: RBAC_Action.DENY,
    policies: Object.fromEntries(entries.map(([name, policy]) => [`${name}${BAD_SUFFIX}`, policy])),
  };
}

function whereMatched(filter: string, provider: string): MetadataMatcherInit {
  return {
    filter,
    path: [{ segment: { case: "key", value: `${SHADOW_PREFIX}shadow_effective_policy_id` } }],
    value: {
      matchPattern: {
        case: "stringMatch",
        value: { matchPattern: { case: "prefix", value: `${NAME_PREFIX}-${provider}` } },
      },
    },
  };
}
