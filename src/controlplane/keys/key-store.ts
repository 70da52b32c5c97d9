/**
 * The key sets of issuers that serve them: fetched when a policy first names them, fetched again from time to time, and kept
 * for a while when they cannot be fetched any more.
 */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import {
  type KeySets,
  type KeySource,
  keySourceName,
} from "../translate/waypoint/policies/tokens.ts";
import type { FetchText } from "./fetch-text.ts";
import { checkKeySet, discoveryUrl, keySetUrl } from "./key-document.ts";

export interface KeyStoreDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetchText: FetchText;
  /** A key set came, changed or was given up. */
  readonly changed: () => void;
}

const REFRESH_MS = 20 * 60_000;
const QUICK_RETRY_MS = 1000;
const QUICK_RETRIES = 7;
const SLOW_RETRY_MS = 60_000;
const SLOWEST_RETRY_MS = 60 * 60_000;
const KEEP_MS = 7 * 24 * 60 * 60_000;

interface Entry {
  readonly source: KeySource;
  keys: string | undefined;
  fetchedAtMs: number;
  failures: number;
  timer: Timer | undefined;
}

export class KeyStore {
  readonly #deps: KeyStoreDeps;
  readonly #entries = new Map<string, Entry>();
  #current: KeySets = new Map();
  #closed = false;

  constructor(deps: KeyStoreDeps) {
    this.#deps = deps;
  }

  /** The same reference while nothing changes. */
  get current(): KeySets {
    return this.#current;
  }

  /** What is not among them is forgotten. */
  want(sources: readonly KeySource[]): void {
    const wanted = new Map(sources.map((source) => [keySourceName(source), source]));
    for (const [name, { timer }] of this.#entries) {
      if (wanted.has(name)) continue;
      timer?.cancel();
      this.#entries.delete(name);
    }
    for (const [name, source] of wanted) {
      if (this.#entries.has(name)) continue;
      const entry: Entry = {
        source,
        keys: undefined,
        fetchedAtMs: 0,
        failures: 0,
        timer: undefined,
      };
      this.#entries.set(name, entry);
      void this.#refresh(name, entry);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#entries.values()) timer?.cancel();
  }

  /** Never rejects. */
  async #refresh(name: string, entry: Entry): Promise<void> {
    const before = entry.keys;
    try {
      const keys = await this.#fetch(entry.source);
      entry.keys = keys;
      entry.fetchedAtMs = this.#deps.clock.monotonicMs();
      entry.failures = 0;
    } catch (thrown) {
      this.#failed(name, entry, thrown);
    }
    // Forgotten in the meantime.
    if (this.#closed || this.#entries.get(name) !== entry) return;
    entry.timer = this.#deps.clock.after(
      delayAfter(entry.failures),
      () => void this.#refresh(name, entry),
    );
    if (entry.keys !== before) this.#publish();
  }

  async #fetch({ uri, issuer, timeoutMs }: KeySource): Promise<string> {
    const { fetchText } = this.#deps;
    if (uri === "" && issuer === "") throw new Error("neither a key set nor an issuer is named");
    const url = uri === "" ? keySetUrl(await fetchText(discoveryUrl(issuer), timeoutMs)) : uri;
    return checkKeySet(await fetchText(url, timeoutMs));
  }

  #failed(name: string, entry: Entry, thrown: unknown): void {
    entry.failures++;
    const keptMs = this.#deps.clock.monotonicMs() - entry.fetchedAtMs;
    if (entry.keys !== undefined && keptMs >= KEEP_MS) entry.keys = undefined;
    this.#deps.log.warn("cannot fetch the keys of an issuer", {
      keys: name,
      attempt: entry.failures,
      in_force: entry.keys === undefined ? "none: its tokens are refused" : "those fetched before",
      error: describeError(thrown),
    });
  }

  #publish(): void {
    const known = [...this.#entries].flatMap(([name, { keys }]) =>
      keys === undefined ? [] : [[name, keys] as const],
    );
    this.#current = new Map(known);
    this.#deps.changed();
  }
}

/** Quickly at first, then ever more slowly. */
function delayAfter(failures: number): number {
  if (failures === 0) return REFRESH_MS;
  if (failures <= QUICK_RETRIES) return QUICK_RETRY_MS;
  return Math.min(SLOW_RETRY_MS * 2 ** (failures - QUICK_RETRIES - 1), SLOWEST_RETRY_MS);
}
