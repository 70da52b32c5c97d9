/** Keeps automatically given addresses across restarts, in one file of the state directory. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeError } from "../../shared/base/errors.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { isRecord } from "../../shared/objects/schema.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import { allocateAddresses } from "../translate/auto-addresses.ts";
import type { AutoAddresses } from "../translate/service-entries.ts";

const FILE = "auto-addresses.json";

export class AddressStore {
  readonly #path: string;
  readonly #log: Logger;
  #addresses: AutoAddresses;

  /** Throws when the file is there but cannot be read: giving addresses anew would swap those in use. */
  constructor(stateDir: string, log: Logger) {
    this.#path = join(stateDir, FILE);
    this.#log = log;
    this.#addresses = load(this.#path);
  }

  /** The addresses for these entries; what was not given yet is given and written down first. */
  addressesFor(entries: readonly ObjectOf<"ServiceEntry">[]): AutoAddresses {
    const next = allocateAddresses(entries, this.#addresses);
    if (next === this.#addresses) return next;
    this.#addresses = next;
    try {
      const draft = `${this.#path}.tmp`;
      writeFileSync(draft, `${JSON.stringify(Object.fromEntries(next), undefined, 2)}\n`);
      renameSync(draft, this.#path);
    } catch (thrown) {
      this.#log.warn("cannot keep automatic addresses; they may change at the next start", {
        reason: describeError(thrown),
      });
    }
    return next;
  }
}

function load(path: string): AutoAddresses {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return new Map();
    throw thrown;
  }
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new Error(`Cannot read "${path}": not a map of addresses`);
  return new Map(
    Object.entries(value).map(([key, addresses]) => [
      key,
      Array.isArray(addresses) ? addresses.map(String) : [],
    ]),
  );
}
