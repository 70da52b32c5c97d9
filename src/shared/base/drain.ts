/**
 * Shutdown in two phases. `draining` begins when somebody asks for it: listeners close, peers are told, open work goes
 * on. `forced` begins at the deadline: whatever is left is cut. Work that must be waited for holds a handle.
 */
import type { Clock, Timer } from "./clock.ts";

export type DrainState =
  | { readonly kind: "running" }
  | { readonly kind: "draining"; readonly deadline: Timer }
  | { readonly kind: "forced" };

export interface DrainHandle {
  /** This piece of work is over; idempotent. */
  release(): void;
}

export class Drain {
  readonly #clock: Clock;
  readonly #drainingController = new AbortController();
  readonly #forcedController = new AbortController();
  #state: DrainState = { kind: "running" };
  #held = 0;
  #settle: (() => void) | undefined;
  readonly #settled: Promise<void>;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Aborts when the graceful phase begins. */
  get draining(): AbortSignal {
    return this.#drainingController.signal;
  }

  /** Aborts when the deadline has passed: cut everything. */
  get forced(): AbortSignal {
    return this.#forcedController.signal;
  }

  get state(): DrainState["kind"] {
    return this.#state.kind;
  }

  /** Registers work that the drain waits for. */
  hold(): DrainHandle {
    this.#held++;
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        this.#held--;
        this.#finishIfIdle();
      },
    };
  }

  /** Starts draining; resolves when all work has ended, by itself or by force. A second call only waits. */
  drain(deadlineMs: number): Promise<void> {
    if (this.#state.kind === "running") {
      const deadline = this.#clock.after(deadlineMs, () => this.force());
      this.#state = { kind: "draining", deadline };
      this.#drainingController.abort(new Error("draining"));
      this.#finishIfIdle();
    }
    return this.#settled;
  }

  /** Ends the graceful phase now. */
  force(): void {
    if (this.#state.kind === "forced") return;
    if (this.#state.kind === "draining") this.#state.deadline.cancel();
    this.#state = { kind: "forced" };
    if (!this.#drainingController.signal.aborted)
      this.#drainingController.abort(new Error("draining"));
    this.#forcedController.abort(new Error("drain deadline reached"));
    this.#settle?.();
  }

  #finishIfIdle(): void {
    if (this.#state.kind !== "draining" || this.#held > 0) return;
    this.#state.deadline.cancel();
    this.#settle?.();
  }
}
