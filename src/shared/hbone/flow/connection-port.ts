/** An application's TCP connection as an end of a flow: reads into the one room, writes straight from where the octets lie. */
import { nextTick } from "node:process";
import { MeshError } from "../../base/errors.ts";
import { EAGAIN, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "../../os/constants.ts";
import { type ReadyListener, threadEpoll } from "../../os/epoll.ts";
import { errnoName, errnoText } from "../../os/errno.ts";
import type { TcpConnection } from "../../os/tcp-connection.ts";
import { noteRead } from "../session/pace.ts";
import type { Slab } from "../session/slab.ts";
import type { Port, PortClose, PortListener } from "./port.ts";
import { quietErrors } from "./quiet-errors.ts";
import { nextReadView, readRoom, readStart } from "./read-room.ts";

const broken = EPOLLERR | EPOLLHUP;
const readable = EPOLLIN | EPOLLRDHUP | broken;
const endInSight = EPOLLRDHUP | broken;

/** Octets that the kernel did not take yet, in memory that stays as it is. */
interface Unsent {
  bytes: Buffer;
  readonly slab: Slab | undefined;
}

/** "wanted": read when there is something. "paused": the peer has no room. "ended": the end was read. */
type Reading = "wanted" | "paused" | "ended";
/** "finishing": the end follows what is unsent. "settling": then everything is closed. */
type Writing = "open" | "finishing" | "settling" | "ended";

export class ConnectionPort implements Port, ReadyListener {
  readonly roomBytes = Number.POSITIVE_INFINITY;
  readonly #connection: TcpConnection;
  #peer: Port | undefined;
  #listener: PortListener | undefined;
  #close: PortClose | undefined;
  #givenBytes = 0;
  #reading: Reading = "wanted";
  #writing: Writing = "open";
  /** The kernel may have something to read. */
  #hasMore = false;
  /** The far end has finished or broken off: behind what is left to read there is the end. */
  #endInSight = false;
  #unsent: Unsent[] | undefined;
  #asksForWrites = false;
  #callsAgain = false;

  constructor(connection: TcpConnection) {
    this.#connection = connection;
  }

  get givenBytes(): number {
    return this.#givenBytes;
  }

  get unsentBytes(): number {
    return this.#unsent?.reduce((sum, { bytes }) => sum + bytes.length, 0) ?? 0;
  }

  attach(peer: Port, listener: PortListener): void {
    const isFirst = this.#peer === undefined;
    this.#peer = peer;
    this.#listener = listener;
    if (!isFirst) {
      if (this.#close !== undefined) listener.portClosed(this, this.#close);
    } else if (this.#connection.closed) {
      this.#end({ kind: "reset" });
    } else {
      this.#connection.watch(this);
    }
  }

  // ReadyListener

  ready(events: number): void {
    if (events === 0) this.#callsAgain = false;
    if (this.#close !== undefined) return;
    if ((events & endInSight) !== 0) this.#endInSight = true;
    if ((events & readable) !== 0) this.#hasMore = true;
    if ((events & (EPOLLOUT | broken)) !== 0 && this.#unsent !== undefined) this.#sendUnsent();
    if (this.#hasMore && this.#reading === "wanted") this.#read();
  }

  /** One read in each turn: other connections have theirs. */
  #read(): void {
    const view = nextReadView(this.#peer?.roomBytes ?? 0);
    const count = this.#connection.receive(view);
    if (count <= 0) {
      if (count === 0) this.#readEnd();
      else if (count === -EAGAIN) this.#hasMore = false;
      else this.#fail(-count);
      return;
    }
    noteRead(count);
    this.#givenBytes += count;
    // What did not fill the room was all there is, but for the end: that is no octet.
    this.#hasMore = count === view.length || this.#endInSight;
    const peer = this.#peer;
    const end = readStart + count;
    if (this.#endInSight && count < view.length && this.#connection.endIsNext()) {
      this.#reading = "ended";
      peer?.takeLast(readRoom(), readStart, end, undefined);
      this.#closeIfDone();
      return;
    }
    if (peer?.take(readRoom(), readStart, end, undefined) === false) this.#reading = "paused";
    else if (this.#hasMore) this.#readAgain();
  }

  #readAgain(): void {
    if (this.#callsAgain) return;
    this.#callsAgain = true;
    threadEpoll().callAgain(this);
  }

  #readEnd(): void {
    this.#reading = "ended";
    this.#peer?.finish();
    this.#closeIfDone();
  }

  // Port

  take(bytes: Buffer, start: number, end: number, slab: Slab | undefined): boolean {
    return this.#take(bytes, start, end, slab, false);
  }

  takeUntouched(bytes: Buffer, start: number, end: number): boolean {
    return this.#take(bytes, start, end, undefined, false);
  }

  takeLast(bytes: Buffer, start: number, end: number, slab: Slab | undefined): boolean {
    const taken = this.#take(bytes, start, end, slab, true);
    this.finish();
    return taken;
  }

  #take(
    bytes: Buffer,
    start: number,
    end: number,
    slab: Slab | undefined,
    endFollows: boolean,
  ): boolean {
    if (this.#writing !== "open" || this.#close !== undefined) return true;
    if (this.#unsent !== undefined) {
      this.#unsent.push(kept(bytes, start, end, slab));
      return false;
    }
    const sent = this.#connection.send(bytes.subarray(start, end), endFollows);
    if (sent === end - start) return true;
    if (sent < 0 && sent !== -EAGAIN) {
      this.#fail(-sent);
      return true;
    }
    this.#unsent = [kept(bytes, start + Math.max(0, sent), end, slab)];
    // Once for each connection: the kernel tells of changes only.
    if (!this.#asksForWrites) this.#connection.watchWrites(this);
    this.#asksForWrites = true;
    return false;
  }

  finish(): void {
    if (this.#writing !== "open") return;
    this.#writing = "finishing";
    if (this.#unsent === undefined) this.#finishWrites();
  }

  resume(): void {
    if (this.#reading !== "paused") return;
    this.#reading = "wanted";
    if (this.#hasMore) this.#readAgain();
  }

  settle(): void {
    if (this.#close !== undefined) return;
    this.#writing = "settling";
    if (this.#unsent === undefined) this.#finishWrites();
  }

  /** A reset, not an orderly end: the application must be able to tell that something is missing. */
  abort(): void {
    if (this.#close !== undefined) return;
    this.#connection.reset();
    this.#end({ kind: "reset" });
  }

  #sendUnsent(): void {
    const list = this.#unsent ?? [];
    for (let first = list[0]; first !== undefined; first = list[0]) {
      const sent = this.#connection.send(first.bytes, false);
      if (sent < 0 && sent !== -EAGAIN) {
        this.#fail(-sent);
        return;
      }
      if (sent < first.bytes.length) {
        first.bytes = first.bytes.subarray(Math.max(0, sent));
        return;
      }
      first.slab?.release();
      list.shift();
    }
    this.#unsent = undefined;
    // Also when it has finished: only now are its octets delivered.
    this.#peer?.resume();
    if (this.#writing !== "open") this.#finishWrites();
  }

  /** Everything was sent. Once both directions have ended, closing says all that a shutdown would have said before. */
  #finishWrites(): void {
    if (this.#close !== undefined) return;
    const settles = this.#writing === "settling";
    this.#writing = "ended";
    if (settles && this.#reading !== "ended") {
      this.#connection.close();
      this.#end({ kind: "reset" });
      return;
    }
    if (this.#reading !== "ended") this.#connection.finish();
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#reading !== "ended" || this.#writing !== "ended") return;
    this.#connection.close();
    this.#end({ kind: "clean" });
  }

  #fail(errno: number): void {
    this.#connection.close();
    const code = errnoName(errno);
    if (quietErrors.has(code)) this.#end({ kind: "reset" });
    else this.#end({ kind: "failed", error: new MeshError("io-failed", errnoText(errno)) });
  }

  /** Told later: whoever has just called us is in the midst of something. */
  #end(close: PortClose): void {
    if (this.#close !== undefined) return;
    this.#close = close;
    for (const { slab } of this.#unsent ?? []) slab?.release();
    this.#unsent = undefined;
    nextTick(tellClosed, this);
  }

  /** Only for the call that `end` puts off. */
  tellClosed(): void {
    if (this.#close !== undefined) this.#listener?.portClosed(this, this.#close);
  }
}

function tellClosed(port: ConnectionPort): void {
  port.tellClosed();
}

function kept(bytes: Buffer, start: number, end: number, slab: Slab | undefined): Unsent {
  const rest = bytes.subarray(start, end);
  if (slab === undefined) return { bytes: Buffer.from(rest), slab };
  slab.retain();
  return { bytes: rest, slab };
}
