/** A network namespace held open by a file descriptor, so that it stays reachable and comparable while we use it. */

export class NetworkNamespace {
  /** What messages call it: its path, or the pod it belongs to. */
  readonly label: string;
  readonly fd: number;
  readonly inode: bigint;
  readonly device: bigint;

  private constructor(label: string, fd: number, inode: bigint, device: bigint) {
    this.label = label;
    this.fd = fd;
    this.inode = inode;
    this.device = device;
  }

  /** Throws MeshError `system-failed` when there is nothing at `path`, or not a network namespace. */
  static open(_path: string): NetworkNamespace {
    throw new Error("not written yet");
  }

  /** Takes ownership of a descriptor, as received over a socket. */
  static adopt(_fd: number, _label: string): NetworkNamespace {
    throw new Error("not written yet");
  }

  /** The namespace of the calling thread. */
  static own(): NetworkNamespace {
    throw new Error("not written yet");
  }

  sameAs(other: NetworkNamespace): boolean {
    return this.inode === other.inode && this.device === other.device;
  }

  /** Idempotent. */
  close(): void {
    throw new Error("not written yet");
  }
}
