/** A root and one certificate for each side of the sidecars, of the kind the mesh itself uses: P-256, a SPIFFE identity each. */
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { systemClock } from "../../../shared/base/clock.ts";
import {
  type Issuer,
  issueLeaf,
  issueRoot,
  type Validity,
} from "../../../shared/identity/issue.ts";
import { readCertificates } from "../../../shared/identity/x509.ts";

const HOUR_MS = 3_600_000;

export interface CertificateFiles {
  readonly root: string;
  readonly chain: string;
  readonly key: string;
}

/** Files by service account, under a root of their own. */
export function writeCertificates(
  folder: string,
  namespace: string,
  serviceAccounts: readonly string[],
): ReadonlyMap<string, CertificateFiles> {
  const validity = validFromNow();
  const rootKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const root = issueRoot(rootKey, "bench", validity);
  return writeLeaves(folder, namespace, serviceAccounts, {
    certificate: root,
    privateKey: rootKey,
  });
}

/** The same under the root of a control plane, whose state folder this is. */
export function writeMeshCertificates(
  folder: string,
  namespace: string,
  serviceAccounts: readonly string[],
  stateDir: string,
): ReadonlyMap<string, CertificateFiles> {
  const [certificate] = readCertificates(readFileSync(`${stateDir}/ca-cert.pem`, "utf8"));
  if (certificate === undefined) throw new Error(`no root certificate in ${stateDir}`);
  const privateKey = createPrivateKey(readFileSync(`${stateDir}/ca-key.pem`));
  return writeLeaves(folder, namespace, serviceAccounts, { certificate, privateKey });
}

function validFromNow(): Validity {
  const nowMs = systemClock.wallMs();
  return { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + 24 * HOUR_MS };
}

function writeLeaves(
  folder: string,
  namespace: string,
  serviceAccounts: readonly string[],
  issuer: Issuer,
): ReadonlyMap<string, CertificateFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const root = issuer.certificate;
  const rootFile = `${folder}/root.pem`;
  writeFileSync(rootFile, root.pem);
  const validity = validFromNow();
  return new Map(
    serviceAccounts.map((account) => {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const uri = `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
      const leaf = issueLeaf(issuer, publicKey, { uris: [uri] }, validity);
      const files = {
        root: rootFile,
        chain: `${folder}/${account}.pem`,
        key: `${folder}/${account}.key`,
      };
      writeFileSync(files.chain, leaf.pem + root.pem);
      writeFileSync(files.key, privateKey.export({ type: "pkcs8", format: "pem" }), {
        mode: 0o600,
      });
      return [account, files];
    }),
  );
}
