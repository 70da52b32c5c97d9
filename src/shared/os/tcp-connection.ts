/**
 * A TCP connection as bare system calls, for the applications' sides of flows. Nothing here waits or buffers: what the kernel
 * does not take or give at once is the caller's business, who is told of changes by epoll.
 */
import type { SocketAddress } from "../net/authority.ts";
import {
  EAGAIN,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  MSG_MORE,
  MSG_NOSIGNAL,
  MSG_PEEK,
  SHUT_WR,
  SO_LINGER,
  SOL_SOCKET,
} from "./constants.ts";
import { type ReadyListener, threadEpoll } from "./epoll.ts";
import { SystemCallError } from "./errno.ts";
import { lastErrno, libc } from "./libc.ts";

const readable = EPOLLIN | EPOLLRDHUP;
const readEvents = readable | EPOLLET;
const discarded = Buffer.allocUnsafeSlow(16 * 1024);
const mostDiscards = 16;
const peeked = Buffer.alloc(1);
/** `struct linger` that makes close() a reset. */
const lingerNot = new Uint8Array(new Int32Array([1, 0]).buffer);

export class TcpConnection {
  readonly fd: number;
  /** The far end as the kernel names it. */
  readonly peer: SocketAddress;
  #state: "quiet" | "watched" | "closed";

  /** Owns the descriptor, which must be non-blocking. */
  constructor(fd: number, peer: SocketAddress, state: "quiet" | "watched" = "quiet") {
    this.fd = fd;
    this.peer = peer;
    this.#state = state;
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Tells this listener from now on when there is something to read, or the end; also of what is there already. */
  watch(listener: ReadyListener): void {
    this.#watch(readEvents, listener);
  }

  /** The same, but again each turn as long as there is something; and, if wanted, as long as the kernel takes octets. */
  watchLevel(listener: ReadyListener, writes: boolean): void {
    this.#watch(writes ? readable | EPOLLOUT : readable, listener);
  }

  #watch(events: number, listener: ReadyListener): void {
    if (this.#state === "closed") return;
    const epoll = threadEpoll();
    if (this.#state === "watched") epoll.change(this.fd, events, listener);
    else epoll.add(this.fd, events, listener);
    this.#state = "watched";
  }

  /** From now on also when the kernel takes octets again. */
  watchWrites(listener: ReadyListener): void {
    if (this.#state === "watched") threadEpoll().change(this.fd, readEvents | EPOLLOUT, listener);
  }

  /** Octets read into the buffer; 0 at the end of what comes; a negative errno, EAGAIN among them. */
  receive(into: Uint8Array): number {
    const count = libc().recv(this.fd, into, into.length, 0);
    return count < 0 ? -lastErrno() : count;
  }

  /** Whether nothing but the end is left to read. */
  endIsNext(): boolean {
    return libc().recv(this.fd, peeked, 1, MSG_PEEK) === 0;
  }

  /** Octets that the kernel took, or a negative errno. `endFollows`: `finish` is called next, so both may share a segment. */
  send(bytes: Uint8Array, endFollows: boolean): number {
    const flags = endFollows ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
    const count = libc().send(this.fd, bytes, bytes.length, flags);
    return count < 0 ? -lastErrno() : count;
  }

  /**
   * Sends what comes before everything else; it must be little enough to fit into the kernel's empty buffer. Throws
   * SystemCallError, with the connection closed.
   */
  sendFirst(bytes: Uint8Array): void {
    const sent = this.send(bytes, false);
    if (sent === bytes.length) return;
    this.close();
    throw new SystemCallError("send", sent < 0 ? -sent : EAGAIN);
  }

  /** Half-close: nothing more is sent. */
  finish(): void {
    if (this.#state !== "closed") libc().shutdown(this.fd, SHUT_WR);
  }

  /** Idempotent. What was sent still arrives, unless something is left unread: then the kernel resets. */
  close(): void {
    if (this.#state === "closed") return;
    if (this.#state === "watched") threadEpoll().remove(this.fd);
    this.#state = "closed";
    libc().close(this.fd);
  }

  /**
   * Closes when what was sent last matters (an alert, a refusal): what has come is read first, so that the kernel has no
   * reason for a reset, which would overtake it.
   */
  closeRead(): void {
    if (this.#state === "closed") return;
    this.finish();
    for (let read = 0; read < mostDiscards; read++) if (this.receive(discarded) <= 0) break;
    this.close();
  }

  /** Closes so that the far end sees a break. */
  reset(): void {
    if (this.#state === "closed") return;
    libc().setsockopt(this.fd, SOL_SOCKET, SO_LINGER, lingerNot, lingerNot.length);
    this.close();
  }
}
