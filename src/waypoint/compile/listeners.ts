/** All listeners of a waypoint → what a connection meets (wire/waypoint.md section 3). */
import type { ChainMatcher } from "../model/chain.ts";
import type { Chain } from "../model/chain.ts";
import type { AccessLog } from "../telemetry/config.ts";
import type { ChainCache } from "./chain-cache.ts";
import type { CompileHooks } from "./hooks.ts";

/** One resource as xDS brings it; the caller keeps the bytes. */
export interface ListenerResource {
  readonly name: string;
  /** An encoded envoy.config.listener.v3.Listener. */
  readonly bytes: Uint8Array;
}

export interface CompileContext {
  readonly hooks: CompileHooks;
  /** Lives as long as the process: chains whose bytes did not change stay the same objects. */
  readonly cache: ChainCache;
}

export interface CompiledListeners {
  /** Undefined: there is no main_internal, or it was refused. */
  readonly main: MainListener | undefined;
  readonly terminate: TerminateSettings | undefined;
  readonly originate: OriginateSettings | undefined;
  /** Accepted without effect. */
  readonly notes: readonly string[];
  /** By resource name: why it is refused. */
  readonly errors: ReadonlyMap<string, string>;
}

export interface MainListener {
  readonly matcher: ChainMatcher;
  readonly chains: ReadonlyMap<string, Chain>;
  /** For connections that no chain takes. */
  readonly accessLogs: readonly AccessLog[];
}

/** What connect_terminate says that is not hard-wired. */
export interface TerminateSettings {
  /** `spiffe://cluster.local/`; undefined: any identity of the trusted roots. */
  readonly peerUriPrefixes: readonly string[] | undefined;
  readonly minTlsVersion: "TLSv1.2" | "TLSv1.3";
  readonly maxTlsVersion: "TLSv1.2" | "TLSv1.3";
  readonly maxConcurrentStreams: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** For CONNECT requests. */
  readonly accessLogs: readonly AccessLog[];
}

/** What connect_originate says: access logs of connections to endpoints. */
export interface OriginateSettings {
  readonly accessLogs: readonly AccessLog[];
}

