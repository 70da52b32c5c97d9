/**
 * The root authority in the state directory. Made once; a restart finds the same. Files: `ca-key.pem` (0600), `ca-cert.pem`,
 * `trusted-roots.pem` (optional, by the operator: further roots to trust while one root replaces another; a change counts at
 * once) and `root-cert.pem`, the bundle that clients get, whose appearance says that the authority is ready.
 */
import { createPublicKey, randomUUID, X509Certificate } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeError } from "../../shared/base/errors.ts";
import { type Issuer, issueRoot } from "../../shared/identity/issue.ts";
import { loadOrCreateKey, writeOnce } from "../../shared/identity/key-file.ts";
import { type CertificateInfo, readCertificates } from "../../shared/identity/x509.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";

const TRUSTED_ROOTS = "trusted-roots.pem";
const YEAR_MS = 365 * 24 * 3_600_000;
const ROOT_LIFETIME_MS = 10 * YEAR_MS;
/** Clocks of the mesh may run behind by this much. */
export const BACKDATE_MS = 120_000;

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

function certificatesOf(text: string, path: string): readonly CertificateInfo[] {
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
  const [certificate] = certificatesOf(readIfThere(path) ?? "", path);
  if (certificate === undefined) throw new Error(`Cannot read certificates in "${path}"`);
  const parsed = new X509Certificate(certificate.der);
  if (!parsed.publicKey.equals(createPublicKey(privateKey)))
    throw new Error(`Cannot use "${path}": it does not belong to the key in ca-key.pem`);
  if (!parsed.ca) throw new Error(`Cannot use "${path}": it is no certificate authority`);
  if (certificate.notAfterMs <= nowMs) throw new Error(`Cannot use "${path}": it has expired`);
  return { certificate, privateKey };
}

export class RootAuthority {
  readonly issuer: Issuer;
  readonly #stateDir: string;
  readonly #log: Logger;
  /** Text of `trusted-roots.pem` at the last look; undefined: there is no such file. */
  #furtherText: string | undefined;
  #further: readonly CertificateInfo[] = [];

  constructor(stateDir: string, issuer: Issuer, log: Logger) {
    this.#stateDir = stateDir;
    this.issuer = issuer;
    this.#log = log;
    const path = join(stateDir, TRUSTED_ROOTS);
    this.#furtherText = readIfThere(path);
    if (this.#furtherText !== undefined) this.#further = certificatesOf(this.#furtherText, path);
  }

  /** All roots that clients should trust: the issuer's first. Looks at `trusted-roots.pem` again; a broken one changes nothing. */
  rootsPem(): string {
    const path = join(this.#stateDir, TRUSTED_ROOTS);
    try {
      const text = readIfThere(path);
      if (text !== this.#furtherText) {
        this.#furtherText = text;
        this.#further = text === undefined ? [] : certificatesOf(text, path);
        this.#log.info("further trusted roots changed", { path, roots: this.#further.length });
        publishRoots(this.#stateDir, this.#bundle());
      }
    } catch (thrown) {
      this.#log.error("keeping the last good trusted roots", { error: describeError(thrown) });
    }
    return this.#bundle();
  }

  #bundle(): string {
    const { certificate } = this.issuer;
    const further = this.#further.filter(({ der }) => !der.equals(certificate.der));
    return [certificate, ...further].map(({ pem }) => pem).join("");
  }
}

/** Loads or makes the root; throws with the file's name when what is there cannot be used. */
export function openRoot(stateDir: string, nowMs: number, log: Logger): RootAuthority {
  return new RootAuthority(stateDir, loadIssuer(stateDir, nowMs), log);
}

/** Writes `root-cert.pem`: by rename, so that a reader never sees half of it. */
export function publishRoots(stateDir: string, rootsPem: string): void {
  const path = join(stateDir, "root-cert.pem");
  if (readIfThere(path) === rootsPem) return;
  const draft = join(stateDir, `.${randomUUID()}.tmp`);
  writeFileSync(draft, rootsPem, { mode: 0o644, flag: "wx" });
  renameSync(draft, path);
}
