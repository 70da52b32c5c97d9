/** Revocation lists made and signed by openssl. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface CrlIssuer {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** PEM of a list of these serials (hexadecimal). */
export function signCrl(issuer: CrlIssuer, serials: readonly string[], days = "30"): string {
  const folder = mkdtempSync(join(tmpdir(), "ambit-crl-"));
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  try {
    const index = serials
      .map((serial) => `R\t30010101000000Z\t260101000000Z\t${serial}\tunknown\t/\n`)
      .join("");
    const database = file("index", index);
    file("index.attr", "");
    const config = file(
      "config",
      `[ca]\ndefault_ca=c\n[c]\ndatabase=${database}\ndefault_md=sha256\ncrlnumber=${file("number", "01")}\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n`,
    );
    const out = join(folder, "crl.pem");
    const from = ["-cert", file("cert.pem", issuer.certificatePem)];
    const key = ["-keyfile", file("key.pem", issuer.keyPem)];
    const rest = ["-crldays", days, "-out", out];
    const words = ["ca", "-gencrl", "-config", config, ...from, ...key, ...rest];
    execFileSync("openssl", words, { stdio: "pipe" });
    return readFileSync(out, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
