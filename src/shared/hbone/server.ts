/** Server side of HBONE: one session over an established TLS connection. */
import type { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { MeshError } from "../base/errors.ts";
import type { HboneServerSession, HboneSettings, IncomingTunnel } from "./tunnel.ts";

/** Speaks HTTP/2 on this socket from now on; `onTunnel` is called once for every well-formed request. */
export function serveHbone(
  _tls: TLSSocket,
  _settings: HboneSettings,
  _clock: Clock,
  _onTunnel: (tunnel: IncomingTunnel) => void,
): HboneServerSession {
  throw new MeshError("h2-handshake-failed", "not there yet");
}
