/** Key material that clusters name, as the dialer sees it. */
import type { WorkloadCertificate } from "../../../shared/identity/workload-certificate.ts";

export interface KeyPair {
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface TrustAnchors {
  readonly rootsPem: string;
  readonly crlPem: string | undefined;
}

/** Values as they are at the moment; the same object as long as they do not change. Undefined: there is none yet. */
export interface UpstreamSecrets {
  /** The waypoint's own. Rejects with MeshError `identity-unavailable`. */
  workload(signal: AbortSignal): Promise<WorkloadCertificate>;
  certificate(name: string): KeyPair | undefined;
  trust(name: string): TrustAnchors | undefined;
}
