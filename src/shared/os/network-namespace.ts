/**
 * A network namespace held open by a file descriptor, so that it stays reachable and comparable while we use it.
 *
 * A thread enters a namespace for single system calls only (`socket()` decides where a socket lives; everything done to it
 * afterwards follows the socket, not the thread). Node's own code never runs inside, with one exception: starting a child
 * process, which inherits the namespace of the thread that forks it.
 */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { abort } from "node:process";
import { MeshError } from "../base/errors.ts";
import { CLONE_NEWNET, NS_GET_NSTYPE } from "./constants.ts";
import { systemFailure } from "./errno.ts";
import { checked, duplicate, libc } from "./libc.ts";

/** Of the calling thread: /proc/self names the main thread's, also in a worker. */
const OWN_NAMESPACE_PATH = "/proc/thread-self/ns/net";

let ownNamespace: NetworkNamespace | undefined;

export class NetworkNamespace {
  /** What messages call it: its path, or the pod it belongs to. */
  readonly label: string;
  readonly fd: number;
  readonly inode: bigint;
  readonly device: bigint;
  #open = true;

  private constructor(label: string, fd: number, inode: bigint, device: bigint) {
    this.label = label;
    this.fd = fd;
    this.inode = inode;
    this.device = device;
  }

  /** Throws MeshError `system-failed` when there is nothing at `path`, or not a network namespace. */
  static open(path: string): NetworkNamespace {
    let fd: number;
    try {
      // Non-blocking, so that a path that turns out to be a named pipe cannot hold us.
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (thrown) {
      throw systemFailure("system-failed", `Cannot open network namespace ${path}`, thrown);
    }
    return NetworkNamespace.adopt(fd, path).#withoutMount();
  }

  /** Takes ownership of a descriptor, as received over a socket; closes it when it is no network namespace. */
  static adopt(fd: number, label: string): NetworkNamespace {
    try {
      if (libc().ioctl(fd, NS_GET_NSTYPE) !== CLONE_NEWNET)
        throw new Error("not a network namespace");
      const { ino, dev } = fstatSync(fd, { bigint: true });
      return new NetworkNamespace(label, fd, ino, dev);
    } catch (thrown) {
      closeSync(fd);
      throw systemFailure("system-failed", `Cannot use network namespace ${label}`, thrown);
    }
  }

  /** The namespace of the calling thread. Never closed. */
  static own(): NetworkNamespace {
    ownNamespace ??= NetworkNamespace.adopt(
      openSync(OWN_NAMESPACE_PATH, constants.O_RDONLY),
      "the node",
    );
    return ownNamespace;
  }

  /**
   * The same namespace by a descriptor that does not hold the mount it was found at: whoever made the mount must be able to
   * unmount it while we keep the namespace.
   */
  #withoutMount(): NetworkNamespace {
    try {
      const fd = this.enter(() => openSync(OWN_NAMESPACE_PATH, constants.O_RDONLY));
      return new NetworkNamespace(this.label, fd, this.inode, this.device);
    } catch (thrown) {
      throw systemFailure("system-failed", `Cannot enter network namespace ${this.label}`, thrown);
    } finally {
      this.close();
    }
  }

  get isOpen(): boolean {
    return this.#open;
  }

  sameAs(other: NetworkNamespace): boolean {
    return this.inode === other.inode && this.device === other.device;
  }

  /** A second handle on the same namespace, closed on its own. */
  duplicate(): NetworkNamespace {
    return new NetworkNamespace(this.label, duplicate(this.fd), this.inode, this.device);
  }

  /**
   * Runs `work` with the calling thread inside this namespace and goes back, whatever happens. `work` must be a few
   * synchronous system calls: nothing that Node goes on with later. Throws SystemCallError when it cannot enter.
   */
  enter<T>(work: () => T): T {
    if (!this.#open) throw new MeshError("system-failed", `namespace ${this.label} is closed`);
    const own = NetworkNamespace.own();
    if (this.sameAs(own)) return work();
    const { setns } = libc();
    checked("setns", setns(this.fd, CLONE_NEWNET));
    try {
      return work();
    } finally {
      // A thread that cannot get home would put every later socket of the process into a pod.
      if (setns(own.fd, CLONE_NEWNET) !== 0) abort();
    }
  }

  /** Idempotent. */
  close(): void {
    if (!this.#open || this === ownNamespace) return;
    this.#open = false;
    closeSync(this.fd);
  }
}
