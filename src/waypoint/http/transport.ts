/**
 * The bytes under a codec: an HBONE tunnel, a plain TCP socket, a TLS socket, or TLS inside a tunnel, all alike. Octets are
 * read in place and pushed; both directions have back-pressure, half-close and reset of their own.
 */
import type { Clock } from "../../shared/base/clock.ts";
import type { Port, PortClose } from "../../shared/hbone/flow/port.ts";
import { portOf, type ReadBefore } from "../../shared/hbone/flow.ts";
import type { FlowEndpoint } from "../../shared/hbone/tunnel.ts";
import { PortTransport } from "./transport-port.ts";

/** How a transport closed: cleanly in both directions, broken off by the far side (or by us), or failed with an error. */
export type TransportClose = PortClose;

/** The codec, as the transport sees it. */
export interface TransportReader {
  /**
   * [start, end) came; valid during the call only, and not to be changed. False asks for a pause: nothing more is given until
   * `resume`. What was given counts as taken either way.
   */
  received(bytes: Buffer, start: number, end: number): boolean;
  /** The peer sends no more; our direction is still open. Called once, after the last octet. */
  ended(): void;
  /** Room again after `write` returned false. */
  writable(): void;
  /** Called once, the last call of all; from within `reset`, or later. */
  closed(close: TransportClose): void;
}

export interface Transport {
  /** Starts to read, within the call if something has come already. Call once. */
  start(reader: TransportReader): void;
  /**
   * Sends [start, end), which is free again after the return. With `hasRoom` the nine octets before `start` may be
   * overwritten, which spares a copy on a tunnel. False: wait for `writable`; what is given all the same is taken.
   */
  write(bytes: Buffer, start: number, end: number, hasRoom: boolean): boolean;
  /** The codec has room again after `received` returned false. */
  resume(): void;
  /** Half-close behind what was written. */
  end(): void;
  /** Sends what was written, then closes both directions in order; what still comes is dropped. `closed` follows. */
  close(): void;
  /** Closes at once, so that the far side sees a break. `closed` follows. */
  reset(): void;
  /** Octets that were read so far, and that wait here for the peer to take them. */
  readonly readBytes: number;
  readonly unsentBytes: number;
}

/** A connection nobody has taken over yet, and what was looked at in order to decide who should. */
export interface Opening {
  readonly port: Port;
  readonly readBefore: ReadBefore | undefined;
}

/** Ask once for each end: a tunnel or a connected socket (TLS: after its handshake) that nobody has read from. */
export function openingOf(endpoint: FlowEndpoint): Opening {
  return { port: portOf(endpoint), readBefore: undefined };
}

export function openTransport(opening: Opening, clock: Clock): Transport {
  return new PortTransport(opening, clock);
}
