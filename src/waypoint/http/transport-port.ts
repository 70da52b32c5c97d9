/** A transport over a port of shared/hbone, which knows tunnels and sockets. */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import type { Port, PortClose, PortListener } from "../../shared/hbone/flow/port.ts";
import { frameHeaderBytes } from "../../shared/hbone/http2/frames.ts";
import { ByteQueue } from "../../shared/hbone/session/byte-queue.ts";
import type { Opening, Transport, TransportReader } from "./transport.ts";

/** "closing": our last octets are on their way, and what comes is dropped. */
type State = "new" | "open" | "closing" | "closed";

/** How long a close waits for a peer that takes nothing and sends no end (Envoy's delayed_close_timeout). */
const lingerMs = 1000;

/** The most a socket reads at once for us; more would be held while a slow reader has no room. */
const readBytesLimit = 64 * 1024;

export class PortTransport implements Transport {
  readonly #port: Port;
  readonly #clock: Clock;
  #opening: Opening | undefined;
  #reader: TransportReader | undefined;
  #state: State = "new";
  /** The codec asked for a pause. */
  #paused = false;
  /** The peer's end has come, but not all before it was given to the codec. */
  #endWaits = false;
  #writeEnded = false;
  /** What came during a pause: TLS may have decrypted it already. */
  #held: ByteQueue | undefined;
  #linger: Timer | undefined;

  constructor(opening: Opening, clock: Clock) {
    this.#port = opening.port;
    this.#opening = opening;
    this.#clock = clock;
  }

  get readBytes(): number {
    return this.#port.givenBytes;
  }

  get unsentBytes(): number {
    return this.#port.unsentBytes;
  }

  start(reader: TransportReader): void {
    if (this.#state !== "new") throw new TypeError("Cannot start a transport twice");
    this.#state = "open";
    this.#reader = reader;
    const before = this.#opening?.readBefore;
    this.#opening = undefined;
    if (before !== undefined && before.bytes.length > frameHeaderBytes)
      this.take(before.bytes, frameHeaderBytes, before.bytes.length);
    this.#port.attach(new PortPeer(this), this.#listener());
    // Who looked at the first octets has paused the port.
    if (before !== undefined && !this.#paused) this.#port.resume();
    if (before?.ended) this.peerEnded();
  }

  write(bytes: Buffer, start: number, end: number, hasRoom: boolean): boolean {
    if (this.#writeEnded || this.#state !== "open") return true;
    return hasRoom
      ? this.#port.take(bytes, start, end, undefined)
      : this.#port.takeUntouched(bytes, start, end);
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#giveHeld();
    if (this.#paused) return;
    this.#port.resume();
    if (this.#endWaits && !this.#paused) this.peerEnded();
  }

  end(): void {
    if (this.#writeEnded || this.#state !== "open") return;
    this.#writeEnded = true;
    this.#port.finish();
  }

  close(): void {
    if (this.#state !== "open") return;
    this.end();
    // The end may have closed it all.
    if (this.#isClosed()) return;
    this.#state = "closing";
    this.#held?.clear();
    this.#paused = false;
    this.#port.resume();
    this.#lingerFrom(this.#port.unsentBytes);
  }

  reset(): void {
    if (this.#state === "closed") return;
    this.#state = "closing";
    this.#port.abort();
  }

  // What the port brings.

  take(bytes: Buffer, start: number, end: number): boolean {
    if (this.#state !== "open") return true;
    if (this.#paused) {
      this.#held ??= new ByteQueue();
      this.#held.push(bytes, start, end);
      return false;
    }
    // Before the call: the codec may resume from within it.
    this.#paused = true;
    if (this.#reader?.received(bytes, start, end)) this.#paused = false;
    return !this.#paused;
  }

  peerEnded(): void {
    if (this.#state !== "open") return;
    this.#endWaits = this.#paused;
    if (!this.#paused) this.#reader?.ended();
  }

  hasRoom(): void {
    if (this.#state === "open" && !this.#writeEnded) this.#reader?.writable();
  }

  #listener(): PortListener {
    return { portClosed: (_port, close) => this.#closed(close) };
  }

  #giveHeld(): void {
    while (!this.#paused && this.#state === "open") {
      const next = this.#held?.shift();
      if (next === undefined) return;
      this.take(next.slab.bytes, 0, next.end);
      next.slab.release();
    }
  }

  /** Ends a close that makes no progress. */
  #lingerFrom(unsentBytes: number): void {
    this.#linger = this.#clock.after(lingerMs, () => {
      const left = this.#port.unsentBytes;
      if (left > 0 && left !== unsentBytes) this.#lingerFrom(left);
      else if (left > 0) this.#port.abort();
      else this.#port.settle();
    });
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #closed(close: PortClose): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#linger?.cancel();
    this.#held?.clear();
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.closed(close);
  }
}

/** The port's peer. Apart from the transport because "resume" means the opposite direction there. */
class PortPeer implements Port {
  readonly givenBytes = 0;
  readonly roomBytes = readBytesLimit;
  readonly unsentBytes = 0;
  readonly #transport: PortTransport;

  constructor(transport: PortTransport) {
    this.#transport = transport;
  }

  attach(): void {
    throw new TypeError("Cannot join a transport to a flow");
  }

  take(bytes: Buffer, start: number, end: number): boolean {
    return this.#transport.take(bytes, start, end);
  }

  takeUntouched(bytes: Buffer, start: number, end: number): boolean {
    return this.#transport.take(bytes, start, end);
  }

  takeLast(bytes: Buffer, start: number, end: number): boolean {
    const taken = this.takeUntouched(bytes, start, end);
    this.finish();
    return taken;
  }

  finish(): void {
    this.#transport.peerEnded();
  }

  resume(): void {
    this.#transport.hasRoom();
  }

  settle(): void {
    this.#transport.peerEnded();
  }

  abort(): void {
    this.#transport.reset();
  }
}
