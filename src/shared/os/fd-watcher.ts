/**
 * Waits until a descriptor that Node cannot adopt (a seqpacket socket) becomes readable or writable.
 *
 * It uses `uv_poll`, the part of libuv that the Node binary exports to native addons, on Node's own loop: no thread, no signal,
 * no polling interval, and while nobody waits nothing is watched. The callback from C does as little as possible (it runs
 * outside any JavaScript frame) and hands over to the loop's next phase. Main thread only: a worker has another loop.
 */
import { isMainThread } from "node:worker_threads";
import koffi from "koffi";
import { MeshError } from "../base/errors.ts";
import { SystemCallError } from "./errno.ts";

export type Readiness = "readable" | "writable";

const UV_HANDLE_POLL = 8;
const UV_READABLE = 1;
const UV_WRITABLE = 2;

interface Libuv {
  readonly loop: unknown;
  readonly handleBytes: number;
  readonly init: (loop: unknown, handle: unknown, fd: number) => number;
  readonly start: (handle: unknown, events: number, callback: bigint) => number;
  readonly stop: (handle: unknown) => number;
  readonly close: (handle: unknown, callback: bigint) => void;
  readonly onPoll: bigint;
  readonly onClosed: bigint;
}

let bound: Libuv | undefined;
/** Open watchers by the address of their handle: one callback serves all of them. */
const watchers = new Map<bigint, (events: number) => void>();
/** Handles on their way out, kept until libuv lets go of them. */
const closing = new Map<bigint, unknown>();

function libuv(): Libuv {
  if (!isMainThread)
    throw new MeshError("system-failed", "Cannot watch descriptors outside the main thread");
  bound ??= bindLibuv();
  return bound;
}

function bindLibuv(): Libuv {
  const library = koffi.load(null);
  const poll = koffi.pointer(koffi.proto("void AmbitPollCallback(intptr_t, int, int)"));
  const closed = koffi.pointer(koffi.proto("void AmbitCloseCallback(intptr_t)"));
  const onPoll = (address: number | bigint, status: number, events: number): void => {
    // A failing descriptor wakes both sides; their next system call tells the reason.
    const ready = status < 0 ? UV_READABLE | UV_WRITABLE : events;
    setImmediate(() => watchers.get(BigInt(address))?.(ready));
  };
  const onClosed = (address: number | bigint): void => {
    setImmediate(() => {
      const handle = closing.get(BigInt(address));
      if (handle === undefined) return;
      closing.delete(BigInt(address));
      koffi.free(handle);
    });
  };
  return {
    loop: library.func("void *uv_default_loop()")(),
    handleBytes: Number(library.func("size_t uv_handle_size(int)")(UV_HANDLE_POLL)),
    init: library.func("int uv_poll_init(void *, void *, int)"),
    start: library.func("int uv_poll_start(void *, int, void *)"),
    stop: library.func("int uv_poll_stop(void *)"),
    close: library.func("void uv_close(void *, void *)"),
    onPoll: koffi.register(onPoll, poll),
    onClosed: koffi.register(onClosed, closed),
  };
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class FdWatcher {
  readonly #uv: Libuv;
  readonly #handle: unknown;
  readonly #address: bigint;
  readonly #waiting = new Map<Readiness, Waiter>();
  #state: "open" | "closed" = "open";

  /** `fd` must be non-blocking, and must stay open until this watcher is closed. */
  constructor(fd: number) {
    this.#uv = libuv();
    this.#handle = koffi.alloc("uint8_t", this.#uv.handleBytes);
    const status = this.#uv.init(this.#uv.loop, this.#handle, fd);
    if (status < 0) {
      koffi.free(this.#handle);
      throw new SystemCallError("uv_poll_init", -status);
    }
    this.#address = koffi.address(this.#handle);
    watchers.set(this.#address, (events) => this.#onReady(events));
  }

  /** One waiter a side at a time. Rejects when the watcher is closed meanwhile. */
  wait(side: Readiness): Promise<void> {
    if (this.#state === "closed") return Promise.reject(new Error("descriptor closed"));
    if (this.#waiting.has(side)) return Promise.reject(new Error(`somebody waits for ${side}`));
    return new Promise((resolve, reject) => {
      this.#waiting.set(side, { resolve, reject });
      this.#watch();
    });
  }

  /** Ends all waits. Must come before the descriptor is closed. Idempotent. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    watchers.delete(this.#address);
    closing.set(this.#address, this.#handle);
    this.#uv.stop(this.#handle);
    this.#uv.close(this.#handle, this.#uv.onClosed);
    for (const waiter of this.#waiting.values()) waiter.reject(new Error("descriptor closed"));
    this.#waiting.clear();
  }

  #onReady(events: number): void {
    if ((events & UV_READABLE) !== 0) this.#settle("readable");
    if ((events & UV_WRITABLE) !== 0) this.#settle("writable");
    this.#watch();
  }

  #settle(side: Readiness): void {
    const waiter = this.#waiting.get(side);
    this.#waiting.delete(side);
    waiter?.resolve();
  }

  #watch(): void {
    if (this.#state === "closed") return;
    const mask =
      (this.#waiting.has("readable") ? UV_READABLE : 0) |
      (this.#waiting.has("writable") ? UV_WRITABLE : 0);
    const status =
      mask === 0
        ? this.#uv.stop(this.#handle)
        : this.#uv.start(this.#handle, mask, this.#uv.onPoll);
    if (status >= 0) return;
    for (const waiter of this.#waiting.values())
      waiter.reject(new SystemCallError("uv_poll_start", -status));
    this.#waiting.clear();
  }
}
