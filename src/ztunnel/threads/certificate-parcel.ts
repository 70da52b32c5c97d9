/** Certificates between threads: packed where the authority's answer is known, unpacked where connections need them. */
import type { PeerRevocation } from "../../shared/identity/revocation.ts";
import type { TlsSettings } from "../../shared/identity/tls-context.ts";
import {
  createWorkloadCertificate,
  materialOf,
  type WorkloadCertificate,
} from "../../shared/identity/workload-certificate.ts";
import { readCertificates } from "../../shared/identity/x509.ts";
import type { CertificateParcel } from "./messages.ts";

export function packCertificate(certificate: WorkloadCertificate): CertificateParcel {
  const { identity, leaf, intermediates, roots, privateKey } = materialOf(certificate);
  return {
    identity,
    chain: [leaf, ...intermediates].map(({ pem }) => pem).join(""),
    roots: roots.map(({ pem }) => pem).join(""),
    key: privateKey,
  };
}

export function unpackCertificate(
  { identity, chain, roots, key }: CertificateParcel,
  settings: TlsSettings,
  revocation: PeerRevocation | undefined,
): WorkloadCertificate {
  const [leaf, ...intermediates] = readCertificates(chain);
  if (leaf === undefined) throw new TypeError("a certificate without a leaf");
  const material = {
    identity,
    leaf,
    intermediates,
    roots: readCertificates(roots),
    privateKey: key,
  };
  return createWorkloadCertificate(material, settings, revocation);
}
