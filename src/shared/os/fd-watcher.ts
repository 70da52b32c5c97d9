/** Waits until a descriptor that Node cannot adopt (a seqpacket socket) becomes readable or writable. */
import { SystemCallError } from "./errno.ts";
import { UV_READABLE, UV_WRITABLE, UvPoll } from "./uv-poll.ts";

export type Readiness = "readable" | "writable";

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class FdWatcher {
  readonly #poll: UvPoll;
  readonly #waiting = new Map<Readiness, Waiter>();
  #state: "open" | "closed" = "open";

  /** `fd` must be non-blocking, and must stay open until this watcher is closed. */
  constructor(fd: number) {
    this.#poll = new UvPoll(fd, (events) => this.#onReady(events));
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
    this.#poll.close();
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
    const events =
      (this.#waiting.has("readable") ? UV_READABLE : 0) |
      (this.#waiting.has("writable") ? UV_WRITABLE : 0);
    const errno = this.#poll.want(events);
    if (errno === 0) return;
    for (const waiter of this.#waiting.values())
      waiter.reject(new SystemCallError("uv_poll_start", errno));
    this.#waiting.clear();
  }
}
