/** Key sets that identity providers serve over HTTP: fetched once for all who need them, and kept for a while. */
import type { Clock, Timer } from "../../../shared/base/clock.ts";
import type { UpstreamCalls } from "../upstream-calls.ts";
import type { RemoteKeySpec } from "./key-source.ts";
import { parseKeys, type VerificationKeys } from "./keys.ts";

/** Key sets are a few kilobytes; one of this size is not a key set. */
const MAX_KEY_SET_BYTES = 1_048_576;
/** A provider that fails is not asked again for every request that waits for it. */
const FAILURE_PAUSE_MS = 1_000;
/** How many rounds of prefetching go on without anyone asking for the keys. */
const UNUSED_ROUNDS = 3;

/** A set that nobody asked for this long belongs to a configuration that is gone. */
const STALE_MS = 3_600_000;

/** Of the whole program, so that updates of listeners keep what was fetched. */
export class RemoteKeySets {
  readonly #calls: UpstreamCalls;
  readonly #clock: Clock;
  readonly #sets = new Map<string, RemoteKeySet>();
  /** The same by specification: a request must not pay for a key made of text. */
  readonly #bySpec = new WeakMap<RemoteKeySpec, RemoteKeySet>();

  constructor(calls: UpstreamCalls, clock: Clock) {
    this.#calls = calls;
    this.#clock = clock;
  }

  /** The same set for the same specification. Starts fetching if the specification says so. */
  get(spec: RemoteKeySpec): RemoteKeySet {
    const set = this.#bySpec.get(spec) ?? this.#find(spec);
    set.touch();
    return set;
  }

  #find(spec: RemoteKeySpec): RemoteKeySet {
    const key = JSON.stringify(spec);
    let set = this.#sets.get(key);
    if (set === undefined) {
      this.#sweep();
      set = new RemoteKeySet(spec, this.#calls, this.#clock);
      this.#sets.set(key, set);
    }
    this.#bySpec.set(spec, set);
    return set;
  }

  /** Sets of configurations that are gone. */
  #sweep(): void {
    for (const [key, set] of this.#sets) if (set.isStale()) this.#sets.delete(key);
  }

  close(): void {
    for (const set of this.#sets.values()) set.close();
    this.#sets.clear();
  }
}

export type KeysNow =
  | { readonly kind: "keys"; readonly keys: VerificationKeys }
  /** Fetching failed, a moment ago. */
  | { readonly kind: "failed"; readonly reason: string }
  /** Ask again when `fetched` settles. */
  | { readonly kind: "pending"; readonly fetched: Promise<void> };

interface Fetched {
  readonly text: string;
  readonly keys: VerificationKeys;
  readonly untilMs: number;
}

export class RemoteKeySet {
  readonly #spec: RemoteKeySpec;
  readonly #calls: UpstreamCalls;
  readonly #clock: Clock;
  #fetched: Fetched | undefined;
  #failure: { readonly reason: string; readonly untilMs: number } | undefined;
  #fetching: Promise<void> | undefined;
  #timer: Timer | undefined;
  #unusedRounds = 0;
  #usedMs = 0;
  #closed = false;

  constructor(spec: RemoteKeySpec, calls: UpstreamCalls, clock: Clock) {
    this.#spec = spec;
    this.#calls = calls;
    this.#clock = clock;
  }

  /** Someone may need the keys soon. */
  touch(): void {
    this.#used();
    if (this.#spec.prefetch === undefined || this.#closed) return;
    // The timer ends when nobody asks any more; the first who does starts it again.
    if (this.#timer === undefined && this.#fetching === undefined) void this.#refresh();
  }

  /** Keys that are still good; undefined: none, and none are fetched for this. */
  atHand(): VerificationKeys | undefined {
    const fetched = this.#fetched;
    // Prefetched keys stay good until they are replaced: the timer keeps them fresh as long as the provider answers.
    const prefetching = this.#spec.prefetch !== undefined && !this.#closed;
    return fetched !== undefined && (prefetching || this.#clock.monotonicMs() < fetched.untilMs)
      ? fetched.keys
      : undefined;
  }

  isStale(): boolean {
    const idleMs = this.#clock.monotonicMs() - this.#usedMs;
    return this.#timer === undefined && this.#fetching === undefined && idleMs > STALE_MS;
  }

  #used(): void {
    this.#unusedRounds = 0;
    this.#usedMs = this.#clock.monotonicMs();
  }

  now(): KeysNow {
    this.#used();
    const keys = this.atHand();
    if (keys !== undefined) return { kind: "keys", keys };
    const nowMs = this.#clock.monotonicMs();
    if (this.#failure !== undefined && nowMs < this.#failure.untilMs)
      return { kind: "failed", reason: this.#failure.reason };
    return { kind: "pending", fetched: this.#refresh() };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** One fetch at a time; never rejects. */
  #refresh(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
      this.#scheduleNext();
    });
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    let reason = "";
    for (let attempt = 0; attempt <= this.#spec.retries && !this.#closed; attempt++) {
      const result = await this.#fetchOnce();
      if (result === undefined) {
        this.#failure = undefined;
        return;
      }
      reason = result;
    }
    this.#failure = { reason, untilMs: this.#clock.monotonicMs() + FAILURE_PAUSE_MS };
  }

  /** What went wrong; undefined: nothing. */
  async #fetchOnce(): Promise<string | undefined> {
    const { cluster, uri, timeoutMs, cacheMs } = this.#spec;
    const { authority, path } = uriParts(uri);
    const outcome = await this.#calls.http({
      cluster,
      authority,
      timeoutMs,
      method: "GET",
      path,
      fields: [],
      maxAnswerBytes: MAX_KEY_SET_BYTES,
    });
    if (outcome.kind === "failed") return `${outcome.reason}: ${outcome.detail}`;
    if (outcome.answer.status !== 200) return `${uri} answered ${outcome.answer.status}`;
    const text = outcome.answer.body.toString("utf8");
    const untilMs = this.#clock.monotonicMs() + cacheMs;
    // Unchanged keys stay the same object: the tokens that they verified need not be verified again.
    if (this.#fetched?.text === text) {
      this.#fetched = { ...this.#fetched, untilMs };
      return undefined;
    }
    const parsed = parseKeys(text);
    if (parsed.kind === "invalid") return `the key set of ${uri} ${parsed.reason}`;
    this.#fetched = { text, keys: parsed.keys, untilMs };
    return undefined;
  }

  #scheduleNext(): void {
    const { prefetch, cacheMs } = this.#spec;
    if (prefetch === undefined || this.#closed) return;
    const delayMs = this.#failure === undefined ? cacheMs : prefetch.failedRefetchMs;
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#unusedRounds++;
      if (this.#unusedRounds <= UNUSED_ROUNDS) void this.#refresh();
      // Nobody keeps them fresh from here on.
      else this.#fetched = undefined;
    });
  }
}

/** Host and path of a URI; the scheme is the cluster's business. */
export function uriParts(uri: string): { readonly authority: string; readonly path: string } {
  const scheme = uri.indexOf("://");
  const rest = scheme < 0 ? uri : uri.slice(scheme + 3);
  const slash = rest.search(/[/?]/);
  if (slash < 0) return { authority: rest, path: "/" };
  const path = rest.slice(slash);
  return { authority: rest.slice(0, slash), path: path.startsWith("/") ? path : `/${path}` };
}
