/**
 * The root authority in the state directory. Made once; a restart finds the same. Files: `ca-key.pem` (0600), `ca-cert.pem`,
 * `trusted-roots.pem` (optional, by the operator: further roots to trust while one root replaces another) and
 * `root-cert.pem`, the bundle that clients get, whose appearance says that the authority is ready.
 */
import { createPublicKey, randomUUID, X509Certificate } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Issuer, issueRoot } from "../../shared/identity/issue.ts";
import { loadOrCreateKey, writeOnce } from "../../shared/identity/key-file.ts";
import { type CertificateInfo, readCertificates } from "../../shared/identity/x509.ts";

const YEAR_MS = 365 * 24 * 3_600_000;
const ROOT_LIFETIME_MS = 10 * YEAR_MS;
/** Clocks of the mesh may run behind by this much. */
export const BACKDATE_MS = 120_000;

export interface RootAuthority {
  readonly issuer: Issuer;
  /** The issuer's certificate first, then further trusted roots. */
  readonly roots: readonly CertificateInfo[];
  readonly rootsPem: string;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

function certificatesIn(path: string): readonly CertificateInfo[] | undefined {
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return readCertificates(text);
  } catch (thrown) {
    throw new Error(`Cannot read certificates in "${path}"`, { cause: thrown });
  }
}

function loadIssuer(stateDir: string, nowMs: number): Issuer {
  const privateKey = loadOrCreateKey(join(stateDir, "ca-key.pem"));
  const path = join(stateDir, "ca-cert.pem");
  if (readIfThere(path) === undefined) {
    const validity = { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: nowMs + ROOT_LIFETIME_MS };
    writeOnce(path, issueRoot(privateKey, "ambit", validity).pem, 0o644);
  }
  const [certificate] = certificatesIn(path) ?? [];
  if (certificate === undefined) throw new Error(`Cannot read certificates in "${path}"`);
  const parsed = new X509Certificate(certificate.der);
  if (!parsed.publicKey.equals(createPublicKey(privateKey)))
    throw new Error(`Cannot use "${path}": it does not belong to the key in ca-key.pem`);
  if (!parsed.ca) throw new Error(`Cannot use "${path}": it is no certificate authority`);
  if (certificate.notAfterMs <= nowMs) throw new Error(`Cannot use "${path}": it has expired`);
  return { certificate, privateKey };
}

/** Loads or makes the root; throws with the file's name when what is there cannot be used. */
export function openRoot(stateDir: string, nowMs: number): RootAuthority {
  const issuer = loadIssuer(stateDir, nowMs);
  const further = certificatesIn(join(stateDir, "trusted-roots.pem")) ?? [];
  const roots = [
    issuer.certificate,
    ...further.filter(({ der }) => !der.equals(issuer.certificate.der)),
  ];
  return { issuer, roots, rootsPem: roots.map(({ pem }) => pem).join("") };
}

/** Writes `root-cert.pem`: by rename, so that a reader never sees half of it. */
export function publishRoots(stateDir: string, rootsPem: string): void {
  const path = join(stateDir, "root-cert.pem");
  if (readIfThere(path) === rootsPem) return;
  const draft = join(stateDir, `.${randomUUID()}.tmp`);
  writeFileSync(draft, rootsPem, { mode: 0o644, flag: "wx" });
  renameSync(draft, path);
}
