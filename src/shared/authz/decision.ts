/** The outcome of authorization as one plain record that logs, metrics, `ambit why` and tests all print from. */
import type { SpiffeIdentity } from "../identity/spiffe.ts";
import type { ApplicablePolicies } from "../model/mesh-view.ts";
import type { IpAddress } from "../net/ip.ts";

/** What a policy can look at (wire/ztunnel.md section 5.3). */
export interface ConnectionFacts {
  /** TCP peer of the HBONE connection, or of the plaintext connection. Never taken from a header. */
  readonly sourceIp: IpAddress;
  /** Verified by mTLS; undefined for plaintext. */
  readonly peer: SpiffeIdentity | undefined;
  readonly destinationIp: IpAddress;
  /** The application's port, after any override by an application tunnel. */
  readonly destinationPort: number;
}

/** A policy and which of its rules (counted from 0) matched. */
export interface PolicyHit {
  /** `namespace/name`. */
  readonly policy: string;
  readonly rule: number;
}

export type DecisionReason =
  | { readonly kind: "denied-by"; readonly hit: PolicyHit }
  | { readonly kind: "allowed-by"; readonly hit: PolicyHit }
  /** Nothing denies, and no ALLOW policy applies: the default is open. */
  | { readonly kind: "no-allow-policies" }
  | { readonly kind: "no-allow-matched"; readonly allowPolicies: readonly string[] }
  /** A policy applies that could not be understood. */
  | { readonly kind: "policy-refused"; readonly policy: string; readonly problem: string };

/** What dry-run policies would have done; never enforced. */
export type DryRunOutcome =
  | { readonly kind: "would-deny"; readonly hit: PolicyHit }
  | { readonly kind: "would-allow"; readonly hit: PolicyHit }
  | { readonly kind: "would-not-allow"; readonly allowPolicies: readonly string[] };

export interface PolicyDecision {
  readonly verdict: "allow" | "deny";
  readonly reason: DecisionReason;
  readonly dryRun: readonly DryRunOutcome[];
  /** What was judged against what: from these two the whole trail can be told again (see explain.ts). */
  readonly facts: ConnectionFacts;
  readonly candidates: ApplicablePolicies;
}
