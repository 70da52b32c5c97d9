/** A root and one certificate for each side of the sidecars, of the kind the mesh itself uses: P-256, a SPIFFE identity each. */
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { systemClock } from "../../../shared/base/clock.ts";
import { issueLeaf, issueRoot } from "../../../shared/identity/issue.ts";

const HOUR_MS = 3_600_000;

export interface CertificateFiles {
  readonly root: string;
  readonly chain: string;
  readonly key: string;
}

/** Files by service account. */
export function writeCertificates(
  folder: string,
  namespace: string,
  serviceAccounts: readonly string[],
): ReadonlyMap<string, CertificateFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const nowMs = systemClock.wallMs();
  const validity = { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + 24 * HOUR_MS };
  const rootKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const root = issueRoot(rootKey, "bench", validity);
  const rootFile = `${folder}/root.pem`;
  writeFileSync(rootFile, root.pem);
  return new Map(
    serviceAccounts.map((account) => {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const uri = `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
      const leaf = issueLeaf(
        { certificate: root, privateKey: rootKey },
        publicKey,
        { uris: [uri] },
        validity,
      );
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
