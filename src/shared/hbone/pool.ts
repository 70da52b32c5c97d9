/** Client sessions by key: opened once however many ask, filled up to the stream limit, released when idle. */
import type { Clock } from "../base/clock.ts";
import { MeshError } from "../base/errors.ts";
import type { HboneClientSession, TunnelAnswer, TunnelRequest } from "./tunnel.ts";

export interface PoolOptions {
  /** Tunnels per session, POOL_MAX_STREAMS_PER_CONNECTION. */
  readonly maxStreamsPerSession: number;
  /** A session without tunnels is closed after this time, POOL_UNUSED_RELEASE_TIMEOUT. */
  readonly idleReleaseMs: number;
}

/** Opens TCP, TLS and the HTTP/2 session for a key. The signal aborts when everybody who waits for it has gone. */
export type OpenSession = (signal: AbortSignal) => Promise<HboneClientSession>;

export class HbonePool {
  constructor(_options: PoolOptions, _clock: Clock) {}

  /** Sessions in the pool, those being opened included. */
  get size(): number {
    return 0;
  }

  /** Opens a tunnel on a session of this key; a session is opened by `open` when none has room. */
  connect(
    _key: string,
    _open: OpenSession,
    _request: TunnelRequest,
    _signal: AbortSignal,
  ): Promise<TunnelAnswer> {
    return Promise.reject(new MeshError("h2-failed", "not there yet"));
  }

  /** No new tunnels; sessions close when their last tunnel has ended. */
  drain(): void {
    throw new MeshError("h2-failed", "not there yet");
  }

  /** Cuts everything. */
  destroy(_error: MeshError): void {
    throw new MeshError("h2-failed", "not there yet");
  }
}
