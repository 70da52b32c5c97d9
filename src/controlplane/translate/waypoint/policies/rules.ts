/** Rules of AuthorizationPolicies as policies of the role-based access control of Envoy, by their names. */
import type { ObjectOf } from "../../../../shared/objects/kinds.ts";
import {
  RBAC_Action as Action,
  type PolicySchema,
  type RBAC_Action,
  type RBACSchema,
} from "../../../../shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import type { Init } from "../wire.ts";
import {
  type AuthorizationRule,
  isAboutRequest,
  permissionLogic,
  permissionsOf,
} from "./permissions.ts";
import { isAboutClient, principalLogic, principalsOf } from "./principals.ts";

export type AuthorizationPolicy = ObjectOf<"AuthorizationPolicy">;
export type RulesInit = Init<typeof RBACSchema>;
type PolicyInit = Init<typeof PolicySchema>;

export interface RuleContext {
  readonly trustDomains: readonly string[];
  readonly tcp: boolean;
  readonly action: RBAC_Action;
}

/** For a policy without rules: nothing meets it, which for one that allows means that nothing is allowed. */
const NEVER: PolicyInit = {
  permissions: [permissionLogic.not(permissionLogic.any)],
  principals: [principalLogic.not(principalLogic.any)],
};

export function isDryRun({ metadata }: AuthorizationPolicy): boolean {
  const text = metadata.annotations["istio.io/dry-run"] ?? "";
  return ["1", "t", "T", "true", "TRUE", "True"].includes(text);
}

/** `prefix` tells the names of one provider's policies from those of another. */
export function rulesOf(
  policies: readonly AuthorizationPolicy[],
  context: RuleContext,
  prefix = "",
): RulesInit {
  const made: Record<string, PolicyInit> = {};
  for (const policy of policies) {
    const { rules } = policy.spec;
    const nameOf = (index: number): string => `${prefix}${policyName(policy, index)}`;
    if (rules.length === 0) made[nameOf(0)] = NEVER;
    for (const [index, rule] of rules.entries()) {
      const body = policyOf(rule, policy.metadata.namespace, context);
      if (body !== undefined) made[nameOf(index)] = body;
    }
  }
  return { action: context.action, policies: made };
}

function policyName({ metadata }: AuthorizationPolicy, index: number): string {
  return `ns[${metadata.namespace}]-policy[${metadata.name}]-rule[${index}]`;
}

/** Undefined for a rule that has no meaning here, or asks for what nobody knows. */
function policyOf(
  rule: AuthorizationRule,
  namespace: string,
  { trustDomains, tcp, action }: RuleContext,
): PolicyInit | undefined {
  if (rule.when.some((when) => !isAboutRequest(when) && !isAboutClient(when))) return undefined;
  const common = { tcp, allows: action === Action.ALLOW };
  const permissions = permissionsOf(rule, common);
  const principals = principalsOf(rule, { ...common, namespace, trustDomains });
  if (permissions === undefined || principals === undefined) return undefined;
  return { permissions, principals };
}
