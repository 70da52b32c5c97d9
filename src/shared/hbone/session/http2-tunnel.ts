/**
 * One stream of a session: the states of both directions, flow-control counters, and the port that a flow sees. How frames
 * are written is the session's business.
 */
import type { MeshError } from "../../base/errors.ts";
import type { Port, PortClose, PortListener } from "../flow/port.ts";
import { errorCode } from "../http2/errors.ts";
import type { TunnelStream } from "../tunnel.ts";
import { Inflow } from "./inflow.ts";
import type { Slab } from "./slab.ts";

/** What a stream needs of its session. */
export interface TunnelHost {
  /** Sends or holds [start, end); false: no more until `resume`. `hasRoom`: nine octets before `start` may be overwritten. */
  send(tunnel: Http2Tunnel, bytes: Buffer, start: number, end: number, hasRoom: boolean): boolean;
  /** How much can be sent at once without being held. */
  roomBytes(tunnel: Http2Tunnel): number;
  /** Sends [start, end) with END_STREAM, if all of it can go at once; otherwise does nothing and returns false. */
  sendLast(tunnel: Http2Tunnel, bytes: Buffer, start: number, end: number, room: boolean): boolean;
  /** Sends END_STREAM. */
  endStream(tunnel: Http2Tunnel): void;
  /** Sends RST_STREAM and forgets the stream. */
  resetStream(tunnel: Http2Tunnel, code: number): void;
  /** The stream has ended both ways and is forgotten. */
  streamEnded(tunnel: Http2Tunnel): void;
  /** The taker is done with so many octets. */
  credit(tunnel: Http2Tunnel, bytes: number): void;
}

/** Our direction: "finishing" sends what is held and then END_STREAM; "settling" then resets the peer's direction as well. */
type Local = "open" | "finishing" | "settling" | "ended";

/** Why a tunnel takes nothing at the moment: the write in flight, or the peer's window. */
export type Blocked = "no" | "outbox" | "window";

export class Http2Tunnel implements TunnelStream, Port {
  readonly kind = "tunnel";
  readonly id: number;
  readonly #host: TunnelHost;
  readonly #inflow: Inflow;

  /** What the peer lets us send. Below zero after it lowered its initial window (RFC 9113 section 6.9.2). */
  sendWindowBytes: number;
  /** What we let the peer send. */
  receiveWindowBytes: number;
  /** Delivered, but not yet given back to the peer. */
  uncreditedBytes = 0;
  /** Taken while the window was too small, not sent yet. */
  held: Buffer | undefined;
  blocked: Blocked = "no";
  /** Among the tunnels that wait for a window. */
  rosterPlace = -1;

  #local: Local = "open";
  #remoteEnded = false;
  /** A client's tunnel, and open: what comes is the far application's answer. */
  #isOpened = false;
  #peer: Port | undefined;
  #listener: PortListener | undefined;
  #close: PortClose | undefined;
  #onEarlyClose: ((close: PortClose) => void) | undefined;

  constructor(host: TunnelHost, id: number, sendWindowBytes: number, receiveWindowBytes: number) {
    this.#host = host;
    this.id = id;
    this.sendWindowBytes = sendWindowBytes;
    this.receiveWindowBytes = receiveWindowBytes;
    this.#inflow = new Inflow(this);
  }

  // The session's side.

  get localEnded(): boolean {
    return this.#local === "ended";
  }

  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  get over(): boolean {
    return this.#close !== undefined || (this.#remoteEnded && this.#local === "ended");
  }

  /** The request waits for its answer; `onEarlyClose` is told when the stream is over before that, for whatever reason. */
  awaitAnswer(onEarlyClose: (close: PortClose) => void): void {
    this.#onEarlyClose = onEarlyClose;
  }

  answered(): void {
    this.#onEarlyClose = undefined;
  }

  /** The peer has opened the tunnel that we asked for. */
  opened(): void {
    this.#isOpened = true;
  }

  get awaitsAnswer(): boolean {
    return this.#onEarlyClose !== undefined;
  }

  /** True when the tunnel must be flushed by the end of the turn. */
  deliver(slab: Slab, start: number, end: number, joins: boolean): boolean {
    return this.#inflow.deliver(slab, start, end, joins);
  }

  flush(): void {
    this.#inflow.flush();
  }

  /** END_STREAM came. */
  remoteEnd(): void {
    this.#remoteEnded = true;
    if (this.#local === "ended") this.#host.streamEnded(this);
    this.#inflow.finish();
    this.#closeIfDone();
  }

  /** RST_STREAM came; the session has forgotten the stream. What came before is handed on where it reads as the end. */
  remoteReset(code: number): void {
    const readsAsEnd = this.#readsAsEnd(code);
    this.#stopSending();
    this.#remoteEnded = true;
    if (readsAsEnd && !this.awaitsAnswer) {
      this.#inflow.finish();
      this.#closeIfDone();
    } else {
      this.#closed({ kind: "reset", http2ErrorCode: code });
    }
  }

  /** The session broke. */
  fail(error: MeshError): void {
    this.#stopSending();
    this.#remoteEnded = true;
    this.#closed({ kind: "failed", error });
  }

  /** We have answered with END_STREAM; what the peer still sends is not wanted (RFC 9113 section 8.1). */
  refused(): void {
    this.#local = "ended";
    if (this.#remoteEnded) this.#host.streamEnded(this);
    else this.#host.resetStream(this, errorCode.noError);
    this.#remoteEnded = true;
    this.#closed({ kind: "reset" });
  }

  /** Everything held has been sent. */
  sent(): void {
    if (this.#local === "open") this.#peer?.resume();
    else if (this.#local !== "ended") this.#sendEnd();
  }

  // The flow's side.

  get givenBytes(): number {
    return this.#inflow.givenBytes;
  }

  get unsentBytes(): number {
    return this.held?.length ?? 0;
  }

  get roomBytes(): number {
    return this.#host.roomBytes(this);
  }

  attach(peer: Port, listener: PortListener): void {
    this.#peer = peer;
    this.#listener = listener;
    if (this.#close !== undefined) listener.portClosed(this, this.#close);
    else this.#inflow.attach(peer);
  }

  take(bytes: Buffer, start: number, end: number, slab: Slab | undefined): boolean {
    if (this.#local !== "open") return true;
    return this.#host.send(this, bytes, start, end, slab === undefined);
  }

  takeUntouched(bytes: Buffer, start: number, end: number): boolean {
    if (this.#local !== "open") return true;
    return this.#host.send(this, bytes, start, end, false);
  }

  takeLast(bytes: Buffer, start: number, end: number, slab: Slab | undefined): boolean {
    if (this.#local !== "open") return true;
    if (this.#host.sendLast(this, bytes, start, end, slab === undefined)) {
      this.#endSent();
      return true;
    }
    const taken = this.take(bytes, start, end, slab);
    this.finish();
    return taken;
  }

  finish(): void {
    if (this.#local !== "open") return;
    this.#local = "finishing";
    if (this.held === undefined) this.#sendEnd();
  }

  resume(): void {
    this.#inflow.resume();
  }

  settle(): void {
    if (this.#close !== undefined) return;
    if (this.held === undefined) this.reset(errorCode.cancel);
    else this.#local = "settling";
  }

  /** RFC 9113 section 8.5: a broken TCP connection is CONNECT_ERROR. */
  abort(): void {
    this.reset(errorCode.connectError);
  }

  reset(http2ErrorCode: number): void {
    if (this.#close !== undefined) return;
    const wasOver = this.over;
    this.#stopSending();
    this.#remoteEnded = true;
    if (!wasOver) this.#host.resetStream(this, http2ErrorCode);
    this.#closed({ kind: "reset" });
  }

  credit(bytes: number): void {
    this.#host.credit(this, bytes);
  }

  inflowEnded(): void {
    this.#closeIfDone();
  }

  /**
   * NO_ERROR and CANCEL do. So does every reset behind the end of an answer, and CONNECT_ERROR behind a part of one: with
   * it Envoy ends a CONNECT whose upstream closes both ways at once, which at a waypoint is every `Connection: close`.
   */
  #readsAsEnd(code: number): boolean {
    if (code === errorCode.noError || code === errorCode.cancel) return true;
    if (!this.#isOpened) return false;
    return this.#remoteEnded || (code === errorCode.connectError && this.#inflow.arrivedBytes > 0);
  }

  #sendEnd(): void {
    this.#host.endStream(this);
    this.#endSent();
  }

  #endSent(): void {
    const settles = this.#local === "settling";
    this.#local = "ended";
    if (this.#remoteEnded) this.#host.streamEnded(this);
    this.#closeIfDone();
    if (settles) this.reset(errorCode.cancel);
  }

  #stopSending(): void {
    this.#local = "ended";
    this.held = undefined;
  }

  #closeIfDone(): void {
    const done = this.#remoteEnded && this.#local === "ended" && this.#inflow.ended;
    if (done) this.#closed({ kind: "clean" });
  }

  #closed(close: PortClose): void {
    if (this.#close !== undefined) return;
    this.#close = close;
    this.#inflow.drop();
    const early = this.#onEarlyClose;
    this.#onEarlyClose = undefined;
    early?.(close);
    this.#listener?.portClosed(this, close);
  }
}
