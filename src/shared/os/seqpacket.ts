/** Unix sockets that keep packet boundaries and carry descriptors (AF_UNIX, SOCK_SEQPACKET), event driven. */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "../base/errors.ts";
import { AF_UNIX, EAGAIN, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET } from "./constants.ts";
import { SystemCallError, systemFailure } from "./errno.ts";
import { FdWatcher } from "./fd-watcher.ts";
import { checked, closeDescriptor, lastErrno, libc } from "./libc.ts";
import { type Packet, tryReceive, trySend } from "./message.ts";
import { encodeUnixAddress } from "./socket-address.ts";

function openUnixSocket(): number {
  const type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
  return checked("socket", libc().socket(AF_UNIX, type, 0));
}

/** One connected socket. One receiver and one sender at a time. */
export class SeqpacketSocket {
  readonly #fd: number;
  readonly #watcher: FdWatcher;
  #open = true;

  /** Takes ownership of a connected, non-blocking descriptor. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#watcher = new FdWatcher(fd);
  }

  /** Connects at once or throws MeshError `connect-failed`: unix sockets do not wait. */
  static connect(path: string): SeqpacketSocket {
    let fd: number | undefined;
    try {
      const address = encodeUnixAddress(path);
      fd = openUnixSocket();
      checked("connect", libc().connect(fd, address, address.length));
      return new SeqpacketSocket(fd);
    } catch (thrown) {
      if (fd !== undefined) closeDescriptor(fd);
      throw systemFailure("connect-failed", `Cannot connect to ${path}`, thrown);
    }
  }

  /** Sends one packet; waits while the peer's buffer is full. Descriptors stay the caller's. */
  async send(bytes: Uint8Array, fds: readonly number[] = []): Promise<void> {
    this.#assertOpen();
    while (!trySend(this.#fd, bytes, fds)) {
      await this.#watcher.wait("writable");
      this.#assertOpen();
    }
  }

  /** The next packet, "end" when the peer has closed. Rejects when this side is closed meanwhile. */
  async receive(maxBytes: number): Promise<Packet | "end"> {
    for (;;) {
      this.#assertOpen();
      const received = tryReceive(this.#fd, maxBytes);
      if (received !== undefined) return received;
      await this.#watcher.wait("readable");
    }
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Idempotent; a pending receive or send rejects. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watcher.close();
    closeDescriptor(this.#fd);
  }

  #assertOpen(): void {
    if (!this.#open) throw new Error("socket closed");
  }
}

/** A listening socket at a path. */
export class SeqpacketListener {
  readonly path: string;
  readonly #fd: number;
  readonly #watcher: FdWatcher;
  #open = true;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
    this.#watcher = new FdWatcher(fd);
  }

  /**
   * Makes the folder when needed and replaces a socket that an earlier process left there. Only the own user may connect.
   * Throws MeshError `system-failed`.
   */
  static listen(path: string, backlog = 16): SeqpacketListener {
    let fd: number | undefined;
    try {
      const address = encodeUnixAddress(path);
      mkdirSync(dirname(path), { recursive: true });
      rmSync(path, { force: true });
      fd = openUnixSocket();
      checked("bind", libc().bind(fd, address, address.length));
      chmodSync(path, 0o600);
      checked("listen", libc().listen(fd, backlog));
      return new SeqpacketListener(path, fd);
    } catch (thrown) {
      if (fd !== undefined) closeDescriptor(fd);
      throw systemFailure("system-failed", `Cannot listen on ${path}`, thrown);
    }
  }

  /** The next connection. Rejects when the listener is closed meanwhile. */
  async accept(): Promise<SeqpacketSocket> {
    for (;;) {
      if (!this.#open) throw new MeshError("drained", "listener closed");
      const fd = libc().accept4(this.#fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) return new SeqpacketSocket(fd);
      const errno = lastErrno();
      if (errno !== EAGAIN) throw new SystemCallError("accept4", errno);
      await this.#watcher.wait("readable");
    }
  }

  /** Idempotent. Leaves the path alone: a successor may have put its own socket there already. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watcher.close();
    closeDescriptor(this.#fd);
  }
}
