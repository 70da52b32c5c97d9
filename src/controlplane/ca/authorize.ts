/** Which identity a caller may have a certificate for. Pure; the reason of a refusal is for the log only. */
import {
  formatSpiffe,
  parseSpiffe,
  type SpiffeIdentity,
  sameIdentity,
} from "../../shared/identity/spiffe.ts";
import type { Caller } from "./caller.ts";

export interface AuthorizationRules {
  readonly trustDomain: string;
  /** `<namespace>/<name>` of the accounts that node proxies run as. */
  readonly trustedNodeAccounts: ReadonlySet<string>;
  readonly identitiesOnNode: (node: string) => ReadonlySet<string>;
}

export type IdentityGrant =
  | { readonly kind: "granted"; readonly identity: SpiffeIdentity }
  | { readonly kind: "refused"; readonly reason: string };

const refused = (reason: string): IdentityGrant => ({ kind: "refused", reason });

/** `impersonated` is what the request's metadata names; undefined: the caller wants its own identity. */
export function authorizeIdentity(
  caller: Caller,
  impersonated: string | undefined,
  rules: AuthorizationRules,
): IdentityGrant {
  const { namespace, serviceAccount, node } = caller;
  const own: SpiffeIdentity = { trustDomain: rules.trustDomain, namespace, serviceAccount };
  if (impersonated === undefined) return { kind: "granted", identity: own };
  const identity = parseSpiffe(impersonated);
  if (identity === undefined)
    return refused(`"${impersonated}" is not of the form spiffe://<domain>/ns/<ns>/sa/<account>`);
  if (sameIdentity(identity, own)) return { kind: "granted", identity };
  const account = `${namespace}/${serviceAccount}`;
  if (!rules.trustedNodeAccounts.has(account))
    return refused(`service account ${account} is not trusted to ask for other identities`);
  if (node === undefined) return refused(`the token of ${account} is not bound to a node`);
  if (!rules.identitiesOnNode(node).has(formatSpiffe(identity)))
    return refused(`no workload with identity ${impersonated} runs on node "${node}"`);
  return { kind: "granted", identity };
}
