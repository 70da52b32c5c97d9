/** Client side of HBONE: one session over an established TLS connection. */
import type { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { MeshError } from "../base/errors.ts";
import type { HboneClientSession, HboneSettings } from "./tunnel.ts";

/** Resolves after the peer's SETTINGS; rejects with MeshError `h2-handshake-failed`, or with the signal's reason. The socket belongs to the session from here on. */
export function openHboneClient(
  _tls: TLSSocket,
  _settings: HboneSettings,
  _clock: Clock,
  _signal?: AbortSignal,
): Promise<HboneClientSession> {
  return Promise.reject(new MeshError("h2-handshake-failed", "not there yet"));
}
