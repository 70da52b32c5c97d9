/** Certificates for tests: authorities and workload certificates made on the spot. */
import { generateKeyPairSync } from "node:crypto";
import {
  type Issuer,
  issueIntermediate,
  issueLeaf,
  issueRoot,
  type Validity,
} from "../../../../src/shared/identity/issue.ts";
import type { PeerRevocation } from "../../../../src/shared/identity/revocation.ts";
import { parseSpiffe } from "../../../../src/shared/identity/spiffe.ts";
import { type TlsOptions, tlsSettings } from "../../../../src/shared/identity/tls-context.ts";
import {
  createWorkloadCertificate,
  type WorkloadCertificate,
} from "../../../../src/shared/identity/workload-certificate.ts";
import type { CertificateInfo } from "../../../../src/shared/identity/x509.ts";

const HOUR_MS = 3_600_000;

export function aroundNow(): Validity {
  return { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + HOUR_MS };
}

const newKeys = () => generateKeyPairSync("ec", { namedCurve: "P-256" });

export function newRoot(organization = "test", validity: Validity = aroundNow()): Issuer {
  const { privateKey } = newKeys();
  return { certificate: issueRoot(privateKey, organization, validity), privateKey };
}

export interface WorkloadOptions {
  /** Names in the certificate; the first SPIFFE one is its identity. */
  readonly uris?: readonly string[];
  readonly roots?: readonly CertificateInfo[];
  readonly validity?: Validity;
  readonly tls?: Partial<TlsOptions>;
  readonly revocation?: PeerRevocation;
}

export interface TestIssuer extends Issuer {
  /** What peers must be sent besides the leaf. */
  readonly intermediates?: readonly CertificateInfo[];
}

/** An authority below another one. */
export function newIntermediate(parent: Issuer, organization = "test middle"): TestIssuer {
  const { publicKey, privateKey } = newKeys();
  const certificate = issueIntermediate(parent, publicKey, organization, aroundNow());
  return { certificate, privateKey, intermediates: [certificate] };
}

export function spiffe(name: string, trustDomain = "cluster.local"): string {
  const [namespace, account] = name.split("/");
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`;
}

export function newWorkload(
  issuer: TestIssuer,
  options: WorkloadOptions = {},
): WorkloadCertificate & { keyPem: string } {
  const uris = options.uris ?? [spiffe("shop/web")];
  const { publicKey, privateKey } = newKeys();
  const identity = uris.map(parseSpiffe).find((found) => found !== undefined) ?? {
    trustDomain: "none",
    namespace: "none",
    serviceAccount: "none",
  };
  const certificate = createWorkloadCertificate(
    {
      identity,
      leaf: issueLeaf(issuer, publicKey, { uris }, options.validity ?? aroundNow()),
      intermediates: issuer.intermediates ?? [],
      roots: options.roots ?? [issuer.certificate],
      privateKey,
    },
    tlsSettings({ tls12: false, compliancePolicy: undefined, ...options.tls }),
    options.revocation,
  );
  return Object.assign(certificate, {
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  });
}
