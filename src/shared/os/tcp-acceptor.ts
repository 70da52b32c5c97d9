/** A listener that hands out connections as they are: no stream, nothing read. */
import type { Clock, Timer } from "../base/clock.ts";
import {
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EPOLLET,
  EPOLLIN,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
} from "./constants.ts";
import { type ReadyListener, threadEpoll } from "./epoll.ts";
import { SystemCallError } from "./errno.ts";
import { checked, closeDescriptor, lastErrno, libc } from "./libc.ts";
import { decodeSocketAddress, INET6_BYTES } from "./socket-address.ts";
import { TcpConnection } from "./tcp-connection.ts";

/** Taken in one turn; the others have their turn after them. */
const mostAtOnce = 64;
/** Pause after a failure that will last: out of descriptors, out of memory. Whoever connects waits in the kernel's queue. */
const pauseMs = 100;

const addressBytes = Buffer.alloc(INET6_BYTES);
const lengthBytes = Buffer.alloc(4);

export interface AcceptorEvents {
  readonly onConnection: (connection: TcpConnection) => void;
  readonly onError: (error: SystemCallError) => void;
}

export class TcpAcceptor implements ReadyListener {
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #events: AcceptorEvents;
  #pause: Timer | undefined;
  #state: "open" | "closed" = "open";

  /** Owns the bound, non-blocking descriptor; throws SystemCallError, with it closed, when it cannot listen. */
  constructor(fd: number, backlog: number, clock: Clock, events: AcceptorEvents) {
    this.#fd = fd;
    this.#clock = clock;
    this.#events = events;
    try {
      checked("listen", libc().listen(fd, backlog));
      threadEpoll().add(fd, EPOLLIN | EPOLLET, this);
    } catch (thrown) {
      closeDescriptor(fd);
      throw thrown;
    }
  }

  ready(): void {
    for (let taken = 0; taken < mostAtOnce; taken++) {
      if (this.#state === "closed") return;
      const connection = this.#accept();
      if (connection === "none") return;
      if (connection !== "gone") this.#events.onConnection(connection);
    }
    threadEpoll().callAgain(this);
  }

  /** Stops at once; what was accepted lives on. Idempotent. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#pause?.cancel();
    threadEpoll().remove(this.#fd);
    closeDescriptor(this.#fd);
  }

  #accept(): TcpConnection | "none" | "gone" {
    lengthBytes.writeInt32LE(INET6_BYTES, 0);
    const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    const fd = libc().accept4(this.#fd, addressBytes, lengthBytes, flags);
    if (fd < 0) return this.#failed(lastErrno());
    const peer = decodeSocketAddress(addressBytes);
    if (peer !== undefined) return new TcpConnection(fd, peer);
    closeDescriptor(fd);
    return "gone";
  }

  #failed(errno: number): "none" | "gone" {
    if (errno === EAGAIN) return "none";
    if (errno === EINTR || errno === ECONNABORTED) return "gone";
    this.#events.onError(new SystemCallError("accept", errno));
    // The kernel tells of new connections only, so the ones that wait would wait for ever.
    this.#pause?.cancel();
    this.#pause = this.#clock.after(pauseMs, () => threadEpoll().callAgain(this));
    return "none";
  }
}
