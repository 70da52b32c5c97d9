/** What users of certificates see of the secret manager, and what the secret manager sees of a certificate authority. */
import type { SpiffeIdentity } from "./spiffe.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

/** Who waits: nobody yet (renewal), a workload that just arrived on this node, a connection. */
export type FetchPriority = "background" | "warmup" | "real-time";

/** Where certificates come from. */
export interface CertificateAuthority {
  /** Rejects with MeshError `identity-unavailable`. */
  fetchCertificate(identity: SpiffeIdentity, signal: AbortSignal): Promise<WorkloadCertificate>;
}

export type SecretState =
  | { readonly kind: "initializing" }
  | { readonly kind: "available"; readonly certificate: WorkloadCertificate }
  | { readonly kind: "unavailable"; readonly error: string };

export interface SecretSnapshot {
  readonly identity: SpiffeIdentity;
  readonly state: SecretState;
}

export interface SecretSource {
  /**
   * The current certificate, fetched now if there is none yet. Rejects with MeshError `identity-unavailable` at once when
   * the last attempt failed and nothing valid is left, or with the signal's reason (the fetch itself goes on).
   */
  fetch(
    identity: SpiffeIdentity,
    priority: FetchPriority,
    signal?: AbortSignal,
  ): Promise<WorkloadCertificate>;
  /** Starts fetching ahead and keeps the certificate fresh until `forget`. */
  prefetch(identity: SpiffeIdentity): void;
  /** No workload of this identity is left on the node. Waiters are refused. */
  forget(identity: SpiffeIdentity): void;
  /** For the config dump, sorted by identity. */
  snapshot(): readonly SecretSnapshot[];
  /** Stops all timers and fetches. */
  close(): void;
}
