/** Connections towards others, made inside a namespace; most of them are there as soon as they are asked for. */
import type { Clock } from "../base/clock.ts";
import type { SocketAddress } from "../net/authority.ts";
import {
  EALREADY,
  EINPROGRESS,
  EISCONN,
  EPOLLET,
  EPOLLOUT,
  SO_ERROR,
  SOL_SOCKET,
} from "./constants.ts";
import { type ReadyListener, threadEpoll } from "./epoll.ts";
import { SystemCallError } from "./errno.ts";
import { closeDescriptor, lastErrno, libc } from "./libc.ts";
import { encodeSocketAddress } from "./socket-address.ts";
import { getInt } from "./socket-options.ts";
import { TcpConnection } from "./tcp-connection.ts";

export class DialTimeout extends Error {
  override readonly name = "DialTimeout";
}

export interface DialLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects the descriptor and owns it from here on. Rejects, with the descriptor closed, with SystemCallError, DialTimeout or
 * the signal's reason.
 */
export function connectDescriptor(
  fd: number,
  destination: SocketAddress,
  clock: Clock,
  limits: DialLimits,
): TcpConnection | Promise<TcpConnection> {
  const address = encodeSocketAddress(destination.ip, destination.port);
  const errno = connectOnce(fd, address);
  if (errno === 0) return new TcpConnection(fd, destination);
  // A destination on this machine has answered by now, and a second call tells; others take their time.
  const now = errno === EINPROGRESS ? connectOnce(fd, address) : errno;
  if (now === 0 || now === EISCONN) return new TcpConnection(fd, destination);
  if (now !== EALREADY) {
    closeDescriptor(fd);
    throw new SystemCallError("connect", now);
  }
  return new Promise((resolve, reject) => {
    new PendingDial(fd, destination, clock, limits, resolve, reject).start();
  });
}

function connectOnce(fd: number, address: Uint8Array): number {
  return libc().connect(fd, address, address.length) === 0 ? 0 : lastErrno();
}

class PendingDial implements ReadyListener {
  readonly #fd: number;
  readonly #destination: SocketAddress;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (connection: TcpConnection) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #onAbort = (): void => this.#fail(this.#signal?.reason);
  readonly #cancelDeadline: () => void;
  #state: "connecting" | "settled" = "connecting";

  constructor(
    fd: number,
    destination: SocketAddress,
    clock: Clock,
    limits: DialLimits,
    resolve: (connection: TcpConnection) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#fd = fd;
    this.#destination = destination;
    this.#signal = limits.signal;
    this.#resolve = resolve;
    this.#reject = reject;
    const { timeoutMs } = limits;
    const deadline = clock.after(timeoutMs, () =>
      this.#fail(new DialTimeout(`timed out after ${timeoutMs} ms`)),
    );
    this.#cancelDeadline = () => deadline.cancel();
  }

  start(): void {
    threadEpoll().add(this.#fd, EPOLLOUT | EPOLLET, this);
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (this.#signal?.aborted) this.#onAbort();
  }

  ready(): void {
    if (this.#state === "settled") return;
    const errno = getInt(this.#fd, SOL_SOCKET, SO_ERROR) ?? lastErrno();
    if (errno !== 0) {
      this.#fail(new SystemCallError("connect", errno));
      return;
    }
    this.#settle();
    this.#resolve(new TcpConnection(this.#fd, this.#destination, "watched"));
  }

  #fail(reason: unknown): void {
    if (this.#state === "settled") return;
    this.#settle();
    threadEpoll().remove(this.#fd);
    closeDescriptor(this.#fd);
    this.#reject(reason);
  }

  #settle(): void {
    this.#state = "settled";
    this.#cancelDeadline();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
