/**
 * `uv_poll`, the part of libuv that the Node binary exports to native addons: a descriptor that Node itself cannot adopt is
 * watched on Node's own loop, without a thread, a signal or a polling interval.
 *
 * A callback from C runs outside any frame of Node's; callback-scope.ts makes one around it. Without, it does no more than
 * ask for an immediate, which runs in the same turn of the loop.
 */
import process from "node:process";
import { isMainThread } from "node:worker_threads";
import koffi from "koffi";
import { CallbackScope } from "./callback-scope.ts";
import { SystemCallError } from "./errno.ts";

const UV_HANDLE_POLL = 8;
export const UV_READABLE = 1;
export const UV_WRITABLE = 2;

interface Libuv {
  readonly loop: unknown;
  readonly handleBytes: number;
  readonly init: (loop: unknown, handle: unknown, fd: number) => number;
  readonly start: (handle: unknown, events: number, callback: bigint) => number;
  readonly stop: (handle: unknown) => number;
  readonly ref: (handle: unknown) => void;
  readonly unref: (handle: unknown) => void;
  readonly close: (handle: unknown, callback: bigint | null) => void;
  readonly onPoll: bigint;
  readonly onClosed: bigint;
  readonly scope: CallbackScope | undefined;
}

let bound: Libuv | undefined;
/** Open handles by their address: one callback serves all of them. */
const open = new Map<number, UvPoll>();
/** Handles on their way out, kept until libuv lets go of them. */
const closing = new Map<number, unknown>();

function libuv(): Libuv {
  if (bound !== undefined) return bound;
  bound = bindLibuv();
  // Node ends the loop of a thread, and aborts the process if it finds a handle there that is not its own.
  if (!isMainThread) process.once("exit", closeAll);
  return bound;
}

/** Nothing runs afterwards that could be told. */
function closeAll(): void {
  for (const poll of open.values()) poll.abandon();
}

function bindLibuv(): Libuv {
  const library = koffi.load(null);
  const poll = koffi.pointer(koffi.proto("void AmbitPollCallback(intptr_t, int, int)"));
  const closed = koffi.pointer(koffi.proto("void AmbitCloseCallback(intptr_t)"));
  return {
    loop: loopOf(library),
    handleBytes: Number(library.func("size_t uv_handle_size(int)")(UV_HANDLE_POLL)),
    init: library.func("int uv_poll_init(void *, void *, int)"),
    start: library.func("int uv_poll_start(void *, int, void *)"),
    stop: library.func("int uv_poll_stop(void *)"),
    ref: library.func("void uv_ref(void *)"),
    unref: library.func("void uv_unref(void *)"),
    close: library.func("void uv_close(void *, void *)"),
    onPoll: koffi.register((address: number | bigint, status: number, events: number): void => {
      open.get(Number(address))?.noteEvents(status, events);
    }, poll),
    onClosed: koffi.register((address: number | bigint): void => {
      setImmediate(release, Number(address));
    }, closed),
    scope: CallbackScope.find(),
  };
}

function release(address: number): void {
  const handle = closing.get(address);
  closing.delete(address);
  if (handle !== undefined) koffi.free(handle);
}

/** The main thread's loop has a C function of its own; another thread's is known to Node alone, under a C++ name. */
function loopOf(library: ReturnType<typeof koffi.load>): unknown {
  if (isMainThread) return library.func("void *uv_default_loop()")();
  const isolate: unknown = library.func("void *_ZN2v87Isolate10GetCurrentEv()")();
  return library.func("void *_ZN4node19GetCurrentEventLoopEPN2v87IsolateE(void *)")(isolate);
}

export class UvPoll {
  readonly #uv: Libuv;
  readonly #handle: unknown;
  readonly #address: number;
  readonly #onReady: (events: number) => void;
  readonly #deliver = (): void => this.#delivered();
  #events = 0;
  #state: "open" | "closed" = "open";

  /**
   * `fd` must be non-blocking, and must stay open until this is closed. `onReady` gets UV_READABLE and UV_WRITABLE, and is
   * called again each turn as long as that is so.
   */
  constructor(fd: number, onReady: (events: number) => void) {
    this.#uv = libuv();
    this.#onReady = onReady;
    this.#handle = koffi.alloc("uint8_t", this.#uv.handleBytes);
    const status = this.#uv.init(this.#uv.loop, this.#handle, fd);
    if (status < 0) {
      koffi.free(this.#handle);
      throw new SystemCallError("uv_poll_init", -status);
    }
    this.#address = Number(koffi.address(this.#handle));
    open.set(this.#address, this);
  }

  /** Which events are wanted from now on; 0 for none. Returns 0, or the errno. */
  want(events: number): number {
    if (this.#state === "closed") return 0;
    const status =
      events === 0
        ? this.#uv.stop(this.#handle)
        : this.#uv.start(this.#handle, events, this.#uv.onPoll);
    return status < 0 ? -status : 0;
  }

  /** Whether it keeps the process alive. */
  keepAlive(wanted: boolean): void {
    if (this.#state === "closed") return;
    if (wanted) this.#uv.ref(this.#handle);
    else this.#uv.unref(this.#handle);
  }

  /** Must come before the descriptor is closed. Idempotent. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    open.delete(this.#address);
    closing.set(this.#address, this.#handle);
    this.#uv.stop(this.#handle);
    this.#uv.close(this.#handle, this.#uv.onClosed);
  }

  /** The thread ends. */
  abandon(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#uv.stop(this.#handle);
    this.#uv.close(this.#handle, null);
  }

  /** Only for the callback from C. */
  noteEvents(status: number, events: number): void {
    // A failing descriptor wakes both sides; their next system call tells the reason.
    const ready = status < 0 ? UV_READABLE | UV_WRITABLE : events;
    const { scope } = this.#uv;
    if (scope === undefined && this.#events === 0) setImmediate(this.#deliver);
    this.#events |= ready;
    if (scope === undefined) return;
    // Nothing may be thrown at C.
    try {
      scope.run(this.#deliver);
    } catch (thrown) {
      setImmediate(raise, thrown);
    }
  }

  #delivered(): void {
    const events = this.#events;
    this.#events = 0;
    if (this.#state === "open") this.#onReady(events);
  }
}

/** As an immediate: an uncaught exception where Node expects one. */
export function raise(thrown: unknown): never {
  throw thrown;
}
