/**
 * A workload's certificate as the proxy holds it: who it names, what to present, whom to trust, and the TLS contexts that
 * every connection under it shares (a context per connection costs about 40 KB and a parse of the chain).
 */
import type { SecureContext } from "node:tls";
import type { SpiffeIdentity } from "./spiffe.ts";
import type { CertificateInfo } from "./x509.ts";

export interface WorkloadCertificate {
  readonly identity: SpiffeIdentity;
  readonly leaf: CertificateInfo;
  /** Sent to peers after the leaf. */
  readonly intermediates: readonly CertificateInfo[];
  /** Whom to trust; several during a rotation of the root. */
  readonly roots: readonly CertificateInfo[];
  /** Built at first use, then shared. */
  clientContext(): SecureContext;
  serverContext(): SecureContext;
}
