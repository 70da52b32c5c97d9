/**
 * The system calls Node has no door for, bound with koffi at first use. Every call here is a plain function of numbers and
 * buffers and returns what the C function returns (-1 on failure, then `lastErrno()` tells why), except those that
 * throw SystemCallError themselves, whose names are verbs of their own (`openSocket`, `bindSocket`).
 *
 * Symbols are looked up in the process itself, so the C library that Node runs on is used, glibc or musl.
 */
import { closeSync } from "node:fs";
import { arch, platform } from "node:process";
import koffi from "koffi";
import { MeshError } from "../base/errors.ts";
import { F_DUPFD_CLOEXEC } from "./constants.ts";
import { SystemCallError } from "./errno.ts";

interface Libc {
  readonly setns: (fd: number, kind: number) => number;
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Uint8Array, length: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly connect: (fd: number, address: Uint8Array, length: number) => number;
  readonly accept4: (
    fd: number,
    address: Uint8Array | null,
    length: Uint8Array | null,
    flags: number,
  ) => number;
  readonly recv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number;
  readonly send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number;
  readonly shutdown: (fd: number, how: number) => number;
  readonly close: (fd: number) => number;
  readonly getpeername: (fd: number, address: Uint8Array, length: Uint8Array) => number;
  readonly epollCreate: (flags: number) => number;
  readonly epollControl: (
    epoll: number,
    operation: number,
    fd: number,
    event: Uint8Array,
  ) => number;
  readonly epollWait: (
    epoll: number,
    events: Uint8Array,
    most: number,
    timeoutMs: number,
  ) => number;
  readonly getsockname: (fd: number, address: Uint8Array, length: Uint8Array) => number;
  readonly setsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    length: number,
  ) => number;
  readonly getsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    length: Uint8Array,
  ) => number;
  readonly sendmsg: (fd: number, message: unknown, flags: number) => number;
  readonly recvmsg: (fd: number, message: unknown, flags: number) => number;
  readonly getrlimit: (resource: number, limits: Uint8Array) => number;
  readonly setrlimit: (resource: number, limits: Uint8Array) => number;
  /** Drops or marks pages of a range of addresses. */
  readonly madvise: (address: bigint, length: number, advice: number) => number;
  readonly ioctl: (fd: number, request: number) => number;
  /** Variadic in C: the third argument is a type name and the fourth its value. */
  readonly fcntl: (fd: number, command: number, type: "int", value: number) => number;
}

let bound: Libc | undefined;

export function libc(): Libc {
  bound ??= bindLibc();
  return bound;
}

function bindLibc(): Libc {
  if (platform !== "linux" || (arch !== "x64" && arch !== "arm64"))
    throw new MeshError("system-failed", `Cannot use system calls: ${platform} on ${arch}`);
  const library = koffi.load(null);
  return {
    setns: library.func("int setns(int, int)"),
    socket: library.func("int socket(int, int, int)"),
    bind: library.func("int bind(int, void *, uint32_t)"),
    listen: library.func("int listen(int, int)"),
    connect: library.func("int connect(int, void *, uint32_t)"),
    accept4: library.func("int accept4(int, void *, void *, int)"),
    recv: library.func("intptr_t recv(int, void *, size_t, int)"),
    send: library.func("intptr_t send(int, void *, size_t, int)"),
    shutdown: library.func("int shutdown(int, int)"),
    close: library.func("int close(int)"),
    epollCreate: library.func("int epoll_create1(int)"),
    epollControl: library.func("int epoll_ctl(int, int, int, void *)"),
    epollWait: library.func("int epoll_wait(int, void *, int, int)"),
    getpeername: library.func("int getpeername(int, void *, void *)"),
    getsockname: library.func("int getsockname(int, void *, void *)"),
    setsockopt: library.func("int setsockopt(int, int, int, void *, uint32_t)"),
    getsockopt: library.func("int getsockopt(int, int, int, void *, void *)"),
    sendmsg: library.func("intptr_t sendmsg(int, void *, int)"),
    recvmsg: library.func("intptr_t recvmsg(int, void *, int)"),
    getrlimit: library.func("int getrlimit(int, void *)"),
    setrlimit: library.func("int setrlimit(int, void *)"),
    madvise: library.func("int madvise(uintptr_t, size_t, int)"),
    ioctl: library.func("int ioctl(int, unsigned long)"),
    fcntl: library.func("int fcntl(int, int, ...)"),
  };
}

/** Why the call just made on this thread failed. */
export function lastErrno(): number {
  return koffi.errno();
}

/** Passes a result on, or throws when it is -1. */
export function checked(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, lastErrno());
  return result;
}

/** A second descriptor of the same open file. */
export function duplicate(fd: number): number {
  return checked("fcntl", libc().fcntl(fd, F_DUPFD_CLOEXEC, "int", 3));
}

/** For a descriptor that nothing has adopted. */
export function closeDescriptor(fd: number): void {
  closeSync(fd);
}
