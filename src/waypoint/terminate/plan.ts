/** What the listener `connect_terminate` asks of the end of HBONE tunnels (wire/waypoint.md section 3.2); compiled by xds/. */
import type { AccessLog } from "../telemetry/config.ts";

export interface TerminatePlan {
  /** IPs and port to listen on; `::` alone means both families. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Trust domains whose members may come in; "every": the roots alone decide. */
  readonly trustDomains: readonly string[] | "every";
  /** Streams that one connection may carry at once. */
  readonly maxStreams: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** Of the CONNECT itself: the reference logs refused ones. */
  readonly accessLogs: readonly AccessLog[];
  /** Of connections that found no chain. */
  readonly listenerAccessLogs: readonly AccessLog[];
}
