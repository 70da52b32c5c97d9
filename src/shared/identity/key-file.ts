/** Private keys in a state directory: made once, whoever comes first, and readable by their owner only. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Signs the tokens of `ambit token`. */
export const TOKEN_KEY_FILE = "token-key.pem";

function hasCode(thrown: unknown, code: string): boolean {
  return (thrown as NodeJS.ErrnoException).code === code;
}

function readKey(path: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(readFileSync(path));
    if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1")
      throw new Error("not a P-256 key");
    if ((statSync(path).mode & 0o077) !== 0)
      throw new Error("others than its owner can access it (chmod 600)");
    return key;
  } catch (thrown) {
    if (hasCode(thrown, "ENOENT")) return undefined;
    throw new Error(`Cannot use the key in "${path}": ${(thrown as Error).message}`, {
      cause: thrown,
    });
  }
}

/**
 * The P-256 key in this file, made when there is none. Two processes that come at once agree on one key: the file appears
 * whole or not at all, and the loser reads the winner's.
 */
export function loadOrCreateKey(path: string): KeyObject {
  const present = readKey(path);
  if (present !== undefined) return present;
  mkdirSync(dirname(path), { recursive: true });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeOnce(path, privateKey.export({ type: "pkcs8", format: "pem" }), 0o600);
  const key = readKey(path);
  if (key === undefined) throw new Error(`Cannot keep a key in "${path}": it vanished`);
  return key;
}

/** Creates a file with this content unless it exists; atomic, and durable enough for a crash of the process. */
export function writeOnce(path: string, data: string | Uint8Array, mode: number): void {
  const draft = join(dirname(path), `.${randomUUID()}.tmp`);
  writeFileSync(draft, data, { mode, flag: "wx" });
  try {
    linkSync(draft, path);
  } catch (thrown) {
    // A file system without hard links: not whole or absent any more, but still one winner.
    if (["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].some((code) => hasCode(thrown, code)))
      writeExclusive(path, data, mode);
    else if (!hasCode(thrown, "EEXIST")) throw thrown;
  } finally {
    rmSync(draft, { force: true });
  }
}

function writeExclusive(path: string, data: string | Uint8Array, mode: number): void {
  try {
    writeFileSync(path, data, { mode, flag: "wx" });
  } catch (thrown) {
    if (!hasCode(thrown, "EEXIST")) throw thrown;
  }
}
