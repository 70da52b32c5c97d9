/** Where a connection waits while filters decide and the upstream is dialed: it is read no further than one piece, and watched. */

import type { Port, PortClose, PortListener } from "../../shared/hbone/flow/port.ts";
import type { ReadBefore } from "../../shared/hbone/flow.ts";
import { frameHeaderBytes } from "../../shared/hbone/http2/frames.ts";
import type { Opening } from "../http/transport.ts";

const nothing = Buffer.alloc(frameHeaderBytes);

export class Lobby implements Port, PortListener, ReadBefore {
  readonly givenBytes = 0;
  readonly roomBytes = 16 * 1024;
  readonly unsentBytes = 0;
  readonly port: Port;
  readonly #onGone: (close: PortClose) => void;
  #bytes: Buffer;
  #ended: boolean;

  /** `onGone`: the connection has closed; not called once it was handed on. */
  constructor(opening: Opening, onGone: (close: PortClose) => void) {
    this.port = opening.port;
    this.#onGone = onGone;
    this.#bytes = opening.readBefore?.bytes ?? nothing;
    this.#ended = opening.readBefore?.ended ?? false;
  }

  /** Apart from the constructor, because the connection may be gone already. */
  enter(): void {
    this.port.attach(this, this);
  }

  // ReadBefore: what came meanwhile, with room for a frame header in front.

  get bytes(): Buffer {
    return this.#bytes;
  }

  get ended(): boolean {
    return this.#ended;
  }

  // The port's peer.

  attach(): void {
    throw new TypeError("Cannot join a lobby to a flow");
  }

  take(bytes: Buffer, start: number, end: number): boolean {
    this.#bytes = Buffer.concat([this.#bytes, bytes.subarray(start, end)]);
    return false;
  }

  takeUntouched(bytes: Buffer, start: number, end: number): boolean {
    return this.take(bytes, start, end);
  }

  takeLast(bytes: Buffer, start: number, end: number): boolean {
    const taken = this.takeUntouched(bytes, start, end);
    this.finish();
    return taken;
  }

  /** A half-close only: the client may have said all it has to say. */
  finish(): void {
    this.#ended = true;
  }

  resume(): void {
    // Nothing was written.
  }

  settle(): void {
    this.#ended = true;
  }

  abort(): void {
    this.#ended = true;
  }

  portClosed(_port: Port, close: PortClose): void {
    this.#onGone(close);
  }
}
