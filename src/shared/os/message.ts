/**
 * `sendmsg` and `recvmsg` with descriptors. The structures are laid out by hand in one block of native memory (they are
 * equal on 64-bit little-endian machines, glibc and musl) and used again for every call: all of it is synchronous.
 */
import koffi from "koffi";
import {
  EAGAIN,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_TRUNC,
  SCM_RIGHTS,
  SOL_SOCKET,
} from "./constants.ts";
import { SystemCallError } from "./errno.ts";
import { checked, closeDescriptor, lastErrno, libc } from "./libc.ts";

export interface Packet {
  readonly bytes: Uint8Array;
  /** Descriptors that came along, closed on exec. The receiver owns them. */
  readonly fds: readonly number[];
  /** The packet was larger than we take; `bytes` is its beginning. */
  readonly truncated: boolean;
}

/** Offsets within the block: struct msghdr (56 bytes), struct iovec (16), the control buffer, the data. */
const IOVEC = 56;
const CONTROL = 72;
/** One header and room for the 253 descriptors that the kernel passes at most in one message (SCM_MAX_FD). */
const CONTROL_BYTES = 16 + 253 * 4 + 4;
const DATA = CONTROL + CONTROL_BYTES;
const DATA_MAX_BYTES = 64 * 1024;
/** Within struct msghdr. */
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_CONTROL = 32;
const MSG_CONTROLLEN = 40;
const MSG_FLAGS = 48;
/** sizeof(struct cmsghdr). */
const CMSG_HEADER = 16;

interface Block {
  readonly pointer: unknown;
  readonly bytes: Buffer;
  readonly address: bigint;
}

let block: Block | undefined;

function messageBlock(): Block {
  if (block === undefined) {
    const pointer: unknown = koffi.alloc("uint8_t", DATA + DATA_MAX_BYTES);
    const bytes = Buffer.from(koffi.view(pointer, DATA + DATA_MAX_BYTES));
    block = { pointer, bytes, address: koffi.address(pointer) };
  }
  return block;
}

function prepare(dataBytes: number, controlBytes: number): Block {
  const current = messageBlock();
  const { bytes, address } = current;
  bytes.fill(0, 0, CONTROL + CONTROL_BYTES);
  bytes.writeBigUInt64LE(address + BigInt(IOVEC), MSG_IOV);
  bytes.writeBigUInt64LE(1n, MSG_IOVLEN);
  if (controlBytes > 0) bytes.writeBigUInt64LE(address + BigInt(CONTROL), MSG_CONTROL);
  bytes.writeBigUInt64LE(BigInt(controlBytes), MSG_CONTROLLEN);
  bytes.writeBigUInt64LE(address + BigInt(DATA), IOVEC);
  bytes.writeBigUInt64LE(BigInt(dataBytes), IOVEC + 8);
  return current;
}

/** False when the peer takes nothing more right now. Throws SystemCallError otherwise. */
export function trySend(fd: number, data: Uint8Array, fds: readonly number[]): boolean {
  const cmsgBytes = CMSG_HEADER + fds.length * 4;
  if (data.length > DATA_MAX_BYTES || cmsgBytes > CONTROL_BYTES)
    throw new RangeError(`packet too large: ${data.length} bytes, ${fds.length} descriptors`);
  const { pointer, bytes } = prepare(data.length, fds.length === 0 ? 0 : (cmsgBytes + 7) & ~7);
  bytes.set(data, DATA);
  if (fds.length > 0) {
    bytes.writeBigUInt64LE(BigInt(cmsgBytes), CONTROL);
    bytes.writeInt32LE(SOL_SOCKET, CONTROL + 8);
    bytes.writeInt32LE(SCM_RIGHTS, CONTROL + 12);
    fds.forEach((passed, i) => {
      bytes.writeInt32LE(passed, CONTROL + CMSG_HEADER + i * 4);
    });
  }
  if (libc().sendmsg(fd, pointer, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
  const errno = lastErrno();
  if (errno === EAGAIN) return false;
  throw new SystemCallError("sendmsg", errno);
}

/** Undefined when nothing is there; "end" when the peer has closed. Throws SystemCallError otherwise. */
export function tryReceive(fd: number, maxBytes: number): Packet | "end" | undefined {
  const { pointer, bytes } = prepare(maxBytes, CONTROL_BYTES);
  const length = Number(libc().recvmsg(fd, pointer, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (length < 0) {
    if (lastErrno() === EAGAIN) return undefined;
    checked("recvmsg", length);
  }
  const flags = bytes.readInt32LE(MSG_FLAGS);
  const fds = receivedDescriptors(bytes);
  if (length === 0 && fds.length === 0) return "end";
  if ((flags & MSG_CTRUNC) !== 0) {
    // Part of the descriptors was dropped by the kernel: nobody can tell which, so none is of use.
    for (const received of fds) closeDescriptor(received);
    throw new Error("too many descriptors in one message");
  }
  return {
    bytes: Uint8Array.from(bytes.subarray(DATA, DATA + Math.min(length, maxBytes))),
    fds,
    truncated: (flags & MSG_TRUNC) !== 0,
  };
}

function receivedDescriptors(bytes: Buffer): number[] {
  const fds: number[] = [];
  const end = CONTROL + Number(bytes.readBigUInt64LE(MSG_CONTROLLEN));
  let at = CONTROL;
  while (at + CMSG_HEADER <= end) {
    const length = Number(bytes.readBigUInt64LE(at));
    if (length < CMSG_HEADER) break;
    const isRights =
      bytes.readInt32LE(at + 8) === SOL_SOCKET && bytes.readInt32LE(at + 12) === SCM_RIGHTS;
    for (let i = at + CMSG_HEADER; isRights && i + 4 <= at + length; i += 4)
      fds.push(bytes.readInt32LE(i));
    at += (length + 7) & ~7;
  }
  return fds;
}
