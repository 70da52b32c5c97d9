/** The filters that audit, deny and allow. */
import { RBAC_Action } from "../../../../shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import { RBACSchema as HttpRbacSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RBACSchema as TcpRbacSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { type HttpFilterInit, type NetworkFilterInit, typed } from "../filters.ts";
import { pack } from "../wire.ts";
import { type AuthorizationPolicy, isDryRun, type RulesInit, rulesOf } from "./rules.ts";

export const HTTP_RBAC = "envoy.filters.http.rbac";
export const TCP_RBAC = "envoy.filters.network.rbac";
export const TCP_STAT_PREFIX = "tcp.";

interface Rules {
  readonly rules?: RulesInit;
  readonly shadowRules?: RulesInit;
  readonly shadowRulesStatPrefix: string;
}

/** Audits come first, then what denies, then what allows. */
const ORDER = [
  ["AUDIT", RBAC_Action.LOG],
  ["DENY", RBAC_Action.DENY],
  ["ALLOW", RBAC_Action.ALLOW],
] as const;

export function httpAuthorization(
  policies: readonly AuthorizationPolicy[],
  trustDomains: readonly string[],
): readonly HttpFilterInit[] {
  return authorization(policies, trustDomains, false).map((rules) =>
    typed(HTTP_RBAC, pack(HttpRbacSchema, rules)),
  );
}

export function tcpAuthorization(
  policies: readonly AuthorizationPolicy[],
  trustDomains: readonly string[],
): readonly NetworkFilterInit[] {
  return authorization(policies, trustDomains, true).map((rules) =>
    typed(TCP_RBAC, pack(TcpRbacSchema, { ...rules, statPrefix: TCP_STAT_PREFIX })),
  );
}

function authorization(
  policies: readonly AuthorizationPolicy[],
  trustDomains: readonly string[],
  tcp: boolean,
): readonly Rules[] {
  return ORDER.flatMap(([name, action]) => {
    const ofAction = policies.filter(({ spec }) => spec.action === name);
    if (ofAction.length === 0) return [];
    const context = { trustDomains, tcp, action };
    const dryRun = ofAction.filter(isDryRun);
    const enforced = ofAction.filter((policy) => !isDryRun(policy));
    return {
      ...(enforced.length === 0 ? {} : { rules: rulesOf(enforced, context) }),
      ...(dryRun.length === 0 ? {} : { shadowRules: rulesOf(dryRun, context) }),
      shadowRulesStatPrefix: shadowPrefix(dryRun.length === 0 ? RBAC_Action.ALLOW : action),
    };
  });
}

/** Without shadow rules the reference names them as those that allow. */
function shadowPrefix(action: RBAC_Action): string {
  switch (action) {
    case RBAC_Action.ALLOW:
      return "istio_dry_run_allow_";
    case RBAC_Action.DENY:
      return "istio_dry_run_deny_";
    default:
      return "";
  }
}
