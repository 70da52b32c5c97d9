/**
 * Client sessions by key: opened once however many ask, filled up to the stream limit, released when unused. A request
 * that the peer provably did not act on (GOAWAY, refused stream) is sent again on another session; so is one whose session
 * had been in use before and broke before the answer, because its end was on the way when the request left.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { MeshError } from "../base/errors.ts";
import { SessionLostError, UnprocessedError } from "./client.ts";
import type { HboneClientSession, TunnelAnswer, TunnelRequest } from "./tunnel.ts";

export interface PoolOptions {
  /** Tunnels per session, POOL_MAX_STREAMS_PER_CONNECTION. */
  readonly maxStreamsPerSession: number;
  /** A session without tunnels is closed after this time without a new one, POOL_UNUSED_RELEASE_TIMEOUT. */
  readonly idleReleaseMs: number;
}

/** Opens TCP, TLS and the HTTP/2 session for a key. The signal aborts when everybody who waits for it has gone. */
export type OpenSession = (signal: AbortSignal) => Promise<HboneClientSession>;

/** How often one request may meet a session that went away under it. */
const maxAttempts = 4;

/** Beyond this many congested sessions to one place the place itself is the reason, and more would not help. */
const maxCongestedSessions = 4;

interface Pooled {
  readonly session: HboneClientSession;
  usedAtMs: number;
  release: Timer;
}

interface Opening {
  readonly controller: AbortController;
  readonly done: Promise<void>;
  waiting: number;
}

interface Lane {
  readonly sessions: Set<Pooled>;
  opening: Opening | undefined;
}

export class HbonePool {
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  readonly #lanes = new Map<string, Lane>();
  #ended: MeshError | undefined;

  constructor(options: PoolOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Sessions in the pool, those being opened included. */
  get size(): number {
    let count = 0;
    for (const lane of this.#lanes.values())
      count += lane.sessions.size + (lane.opening === undefined ? 0 : 1);
    return count;
  }

  /** Opens a tunnel on a session of this key; `open` is called when none has room. */
  async connect(
    key: string,
    open: OpenSession,
    request: TunnelRequest,
    signal: AbortSignal,
  ): Promise<TunnelAnswer> {
    let isFresh = false;
    for (let attempt = 1; ; ) {
      signal.throwIfAborted();
      if (this.#ended !== undefined) throw this.#ended;
      const lane = this.#lane(key);
      // Chosen and used in one step: whoever comes in between would see the same room.
      const session = this.#pick(lane);
      if (session === undefined) {
        await this.#opened(key, lane, open, signal);
        isFresh = true;
        continue;
      }
      try {
        return await session.connect(request, signal);
      } catch (thrown) {
        if (!mayTryAgain(thrown, isFresh) || attempt === maxAttempts) throw thrown;
        attempt++;
      }
    }
  }

  /** No new tunnels; sessions close when their last tunnel has ended. */
  drain(): void {
    this.#end(new MeshError("drained", "Cannot open tunnel: shutting down"), (session) =>
      session.drain(),
    );
  }

  /** Cuts everything. */
  destroy(error: MeshError): void {
    this.#end(error, (session) => session.destroy(error));
  }

  #lane(key: string): Lane {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { sessions: new Set(), opening: undefined };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  /**
   * The first session with room; it counts as used now. A congested one would make the tunnel wait for readers it has
   * nothing to do with, so another is opened beside it, up to a few.
   */
  #pick(lane: Lane): HboneClientSession | undefined {
    let chosen: Pooled | undefined;
    let congested = 0;
    for (const pooled of lane.sessions) {
      const { session } = pooled;
      const limit = Math.min(this.#options.maxStreamsPerSession, session.maxStreams);
      if (!session.usable || session.openStreams >= limit) continue;
      if (session.congested) congested++;
      if (!session.congested || congested > maxCongestedSessions) chosen ??= pooled;
    }
    if (chosen !== undefined) chosen.usedAtMs = this.#clock.monotonicMs();
    return chosen?.session;
  }

  /** Waits for the session that is being opened for this key, or opens it. */
  async #opened(key: string, lane: Lane, open: OpenSession, signal: AbortSignal): Promise<void> {
    const opening = lane.opening ?? this.#startOpening(key, lane, open);
    opening.waiting++;
    try {
      await abortable(opening.done, signal);
    } finally {
      opening.waiting--;
      if (opening.waiting === 0 && lane.opening === opening)
        opening.controller.abort(signal.reason);
    }
  }

  #startOpening(key: string, lane: Lane, open: OpenSession): Opening {
    const controller = new AbortController();
    const opening: Opening = {
      controller,
      waiting: 0,
      done: this.#open(key, lane, open, controller.signal),
    };
    lane.opening = opening;
    // Whoever waits sees the failure; nobody may be left.
    opening.done.catch(() => undefined);
    return opening;
  }

  async #open(key: string, lane: Lane, open: OpenSession, signal: AbortSignal): Promise<void> {
    try {
      const session = await open(signal);
      if (this.#ended === undefined) this.#add(key, lane, session);
      else session.destroy(this.#ended);
    } finally {
      lane.opening = undefined;
      this.#forgetIfEmpty(key, lane);
    }
  }

  #add(key: string, lane: Lane, session: HboneClientSession): void {
    const pooled: Pooled = {
      session,
      usedAtMs: this.#clock.monotonicMs(),
      release: this.#clock.after(this.#options.idleReleaseMs, () => this.#releaseUnused(pooled)),
    };
    lane.sessions.add(pooled);
    void session.closed.then(() => {
      pooled.release.cancel();
      lane.sessions.delete(pooled);
      this.#forgetIfEmpty(key, lane);
    });
  }

  #releaseUnused(pooled: Pooled): void {
    const { session, usedAtMs } = pooled;
    const unusedMs = this.#clock.monotonicMs() - usedAtMs;
    if (session.openStreams === 0 && unusedMs >= this.#options.idleReleaseMs) {
      session.drain();
      return;
    }
    const leftMs = Math.max(this.#options.idleReleaseMs - unusedMs, minReleaseDelayMs);
    pooled.release = this.#clock.after(leftMs, () => this.#releaseUnused(pooled));
  }

  #forgetIfEmpty(key: string, lane: Lane): void {
    const empty = lane.sessions.size === 0 && lane.opening === undefined;
    if (empty && this.#lanes.get(key) === lane) this.#lanes.delete(key);
  }

  #end(error: MeshError, close: (session: HboneClientSession) => void): void {
    this.#ended ??= error;
    for (const lane of this.#lanes.values()) {
      lane.opening?.controller.abort(this.#ended);
      for (const pooled of [...lane.sessions]) close(pooled.session);
    }
  }
}

/** A session whose tunnels outlive the release time is looked at again after this time. */
const minReleaseDelayMs = 1000;

function mayTryAgain(thrown: unknown, isFresh: boolean): boolean {
  if (thrown instanceof SessionLostError) return !isFresh && thrown.retry === "if-reused";
  return thrown instanceof UnprocessedError;
}

function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const settled = (): void => signal.removeEventListener("abort", onAbort);
    promise.then(resolve, reject).finally(settled);
  });
}
