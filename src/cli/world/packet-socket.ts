/** A raw socket that sees every frame of one interface: two system calls that Node does not offer. */
import { closeSync } from "node:fs";
import koffi from "koffi";
import { systemReason } from "../../shared/os/errno.ts";
import { checked, libc } from "../../shared/os/libc.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** In network byte order, as the kernel wants it. */
const ETH_P_ALL = 0x0300;
const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
/** Room for bursts between two looks. */
const RECEIVE_BUFFER_BYTES = 32 << 20;

interface PacketCalls {
  readonly recv: (fd: number, buffer: Buffer, length: number, flags: number) => number;
  readonly ifIndex: (name: string) => number;
}

let bound: PacketCalls | undefined;

function calls(): PacketCalls {
  if (bound === undefined) {
    const library = koffi.load(null);
    bound = {
      recv: library.func("intptr_t recv(int, _Out_ void *, size_t, int)"),
      ifIndex: library.func("uint32_t if_nametoindex(const char *)"),
    };
  }
  return bound;
}

export class PacketSocket {
  readonly #fd: number;

  /** Opens one on an interface of the process's own namespace. */
  constructor(interfaceName: string) {
    const index = calls().ifIndex(interfaceName);
    if (index === 0) throw new Error(`Cannot watch ${interfaceName}: no such interface`);
    const { socket, bind, setsockopt } = libc();
    const kind = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.#fd = checked("socket", socket(AF_PACKET, kind, ETH_P_ALL));
    const size = Buffer.alloc(4);
    size.writeInt32LE(RECEIVE_BUFFER_BYTES);
    if (setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4) < 0)
      setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUF, size, 4);
    const address = Buffer.alloc(20);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt16LE(ETH_P_ALL, 2);
    address.writeInt32LE(index, 4);
    try {
      checked("bind", bind(this.#fd, address, address.length));
    } catch (thrown) {
      closeSync(this.#fd);
      throw new Error(`Cannot watch ${interfaceName}: ${systemReason(thrown)}`, { cause: thrown });
    }
  }

  /** The beginning of the next frame that is waiting, in `buffer`; 0 when there is none. */
  read(buffer: Buffer): number {
    return Math.max(0, calls().recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT));
  }

  close(): void {
    closeSync(this.#fd);
  }
}
