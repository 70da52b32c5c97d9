/**
 * One certificate per identity, shared by all pods that have it: fetched ahead, replaced at half its life, kept while it is
 * valid though its renewal fails (wire/ztunnel.md section 2).
 */
import { jitteredMs, nextBackoffMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { asMeshError, MeshError } from "../base/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { FetchQueue } from "./fetch-queue.ts";
import type {
  CertificateAuthority,
  FetchPriority,
  SecretSnapshot,
  SecretSource,
  SecretState,
} from "./secret-source.ts";
import { formatSpiffe, type SpiffeIdentity } from "./spiffe.ts";
import { refreshAtMs, type WorkloadCertificate } from "./workload-certificate.ts";

const MAX_CONCURRENT_FETCHES = 8;
/** The first wait is 1 s, as the reference doubles its half second before it waits. */
const RETRY = { initialMs: 1000, maxMs: 150_000, factor: 2, jitter: 0.2 } as const;
/** Even a certificate of a few seconds does not make us ask without pause. */
const MIN_REFRESH_WAIT_MS = 1000;

export interface SecretManagerDeps {
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly log: Logger;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  /** Called with each certificate that arrives, and with the identity that is not kept any more. */
  readonly watcher?: SecretWatcher | undefined;
}

export interface SecretWatcher {
  renewed(certificate: WorkloadCertificate): void;
  gone(identity: SpiffeIdentity): void;
}

interface Waiter {
  resolve(certificate: WorkloadCertificate): void;
  reject(error: unknown): void;
}

interface Entry {
  readonly identity: SpiffeIdentity;
  readonly key: string;
  /** Ends the fetch that is under way when the identity is forgotten. */
  readonly abort: AbortController;
  state: SecretState;
  /** A workload on this node has the identity: renew until it is forgotten. */
  pinned: boolean;
  /** Asked for since the last renewal. */
  used: boolean;
  retryMs: number | undefined;
  timer: Timer | undefined;
  waiters: Waiter[];
}

export class SecretManager implements SecretSource {
  readonly #deps: SecretManagerDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: FetchQueue<Entry>;

  constructor(deps: SecretManagerDeps) {
    this.#deps = deps;
    this.#queue = new FetchQueue(MAX_CONCURRENT_FETCHES, (entry) => this.#run(entry));
  }

  fetch(
    identity: SpiffeIdentity,
    priority: FetchPriority,
    signal?: AbortSignal,
  ): Promise<WorkloadCertificate> {
    const entry = this.#entry(identity, priority);
    entry.used = true;
    if (entry.state.kind === "unavailable")
      return Promise.reject(new MeshError("identity-unavailable", entry.state.error));
    if (entry.state.kind === "available" && this.#valid(entry.state.certificate))
      return Promise.resolve(entry.state.certificate);
    // A connection waits now for what was only a warm-up, or for a renewal that came too late (the machine slept).
    this.#queue.add(entry, priority);
    return waitFor(entry, signal);
  }

  prefetch(identity: SpiffeIdentity): void {
    this.#entry(identity, "warmup").pinned = true;
  }

  forget(identity: SpiffeIdentity): void {
    const entry = this.#entries.get(formatSpiffe(identity));
    if (entry !== undefined) this.#drop(entry, "the identity is not on this node any more");
  }

  snapshot(): readonly SecretSnapshot[] {
    return [...this.#entries.values()]
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map(({ identity, state }) => ({ identity, state }));
  }

  close(): void {
    for (const entry of [...this.#entries.values()]) this.#drop(entry, "shutting down");
  }

  #entry(identity: SpiffeIdentity, priority: FetchPriority): Entry {
    const key = formatSpiffe(identity);
    const present = this.#entries.get(key);
    if (present !== undefined) return present;
    const entry: Entry = {
      identity,
      key,
      abort: new AbortController(),
      state: { kind: "initializing" },
      pinned: false,
      used: false,
      retryMs: undefined,
      timer: undefined,
      waiters: [],
    };
    this.#entries.set(key, entry);
    this.#queue.add(entry, priority);
    return entry;
  }

  #valid({ leaf }: WorkloadCertificate): boolean {
    return leaf.notAfterMs > this.#deps.clock.wallMs();
  }

  #drop(entry: Entry, why: string): void {
    this.#entries.delete(entry.key);
    this.#queue.remove(entry);
    entry.timer?.cancel();
    const error = new MeshError("identity-unavailable", `identity error: ${why}`);
    entry.abort.abort(error);
    for (const waiter of entry.waiters.splice(0)) waiter.reject(error);
    this.#deps.watcher?.gone(entry.identity);
  }

  async #run(entry: Entry): Promise<void> {
    const { authority, log } = this.#deps;
    const { signal } = entry.abort;
    try {
      const certificate = await authority.fetchCertificate(entry.identity, signal);
      if (!signal.aborted) this.#succeed(entry, certificate);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asMeshError(thrown, "identity-unavailable", "identity error").message;
      const nextMs = this.#fail(entry, error);
      log.warn("certificate fetch failed", {
        identity: entry.key,
        error,
        kept: entry.state.kind === "available",
        retry_in_ms: Math.round(nextMs),
      });
    }
  }

  #succeed(entry: Entry, certificate: WorkloadCertificate): void {
    const nowMs = this.#deps.clock.wallMs();
    entry.state = { kind: "available", certificate };
    entry.retryMs = undefined;
    entry.used = entry.waiters.length > 0;
    this.#deps.watcher?.renewed(certificate);
    for (const waiter of entry.waiters.splice(0)) waiter.resolve(certificate);
    this.#deps.log.debug("certificate fetched", {
      identity: entry.key,
      serial: certificate.leaf.serialDecimal,
    });
    // Backdated by more than it lives, its half life may be over already: then half of what is left.
    const halfLifeMs = refreshAtMs(certificate) - nowMs;
    const waitMs = halfLifeMs > 0 ? halfLifeMs : (certificate.leaf.notAfterMs - nowMs) / 2;
    this.#schedule(entry, Math.max(MIN_REFRESH_WAIT_MS, waitMs), () => this.#refresh(entry));
  }

  /** Nobody's any more: neither a workload here nor a connection since the last renewal. */
  #refresh(entry: Entry): void {
    if (entry.pinned || entry.used) this.#queue.add(entry, "background");
    else this.#drop(entry, "unused");
  }

  /** Returns when it is tried again. */
  #fail(entry: Entry, error: string): number {
    const nowMs = this.#deps.clock.wallMs();
    entry.retryMs = nextBackoffMs(RETRY, entry.retryMs);
    const backoffMs = jitteredMs(RETRY, entry.retryMs, this.#deps.random);
    const leftMs =
      entry.state.kind === "available" ? entry.state.certificate.leaf.notAfterMs - nowMs : 0;
    if (leftMs <= 0) {
      entry.state = { kind: "unavailable", error };
      const refusal = new MeshError("identity-unavailable", error);
      for (const waiter of entry.waiters.splice(0)) waiter.reject(refusal);
    }
    // Not later than the expiry of what is still valid, so that its state is true at any time.
    const waitMs = leftMs > 0 ? Math.min(backoffMs, leftMs) : backoffMs;
    const retry = (): void => this.#queue.add(entry, "background");
    this.#schedule(entry, waitMs, retry);
    return waitMs;
  }

  #schedule(entry: Entry, delayMs: number, act: () => void): void {
    entry.timer?.cancel();
    entry.timer = this.#deps.clock.after(delayMs, act);
  }
}

function waitFor(entry: Entry, signal: AbortSignal | undefined): Promise<WorkloadCertificate> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const waiter: Waiter = {
      resolve: (certificate) => {
        signal?.removeEventListener("abort", onAbort);
        resolve(certificate);
      },
      reject: (error) => {
        signal?.removeEventListener("abort", onAbort);
        reject(error);
      },
    };
    const onAbort = (): void => {
      entry.waiters = entry.waiters.filter((other) => other !== waiter);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    entry.waiters.push(waiter);
  });
}
