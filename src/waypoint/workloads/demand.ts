/**
 * Asking for workloads one by one, for meshes whose address book is too large to hold (XDS_ON_DEMAND; wire/waypoint.md section
 * 11.4 no. 21). A client that is not known yet waits a moment for its name, since its requests would be counted without it.
 */
import type { Clock } from "../../shared/base/clock.ts";
import type { WorkloadIndex } from "./index.ts";

/** A control plane that does not answer must not hold traffic up: the name is only for telemetry. */
const WAIT_MS = 300;

const MAX_ANSWERED = 100_000;

export class PeerDemand {
  readonly #clock: Clock;
  readonly #keyOf: (ip: string) => string;
  /** Sends the request unless it was sent before. */
  readonly #ask: (key: string) => void;
  readonly #answered = new Set<string>();
  readonly #waiting = new Map<
    string,
    { readonly done: Promise<void>; readonly settle: () => void }
  >();

  constructor(clock: Clock, keyOf: (ip: string) => string, ask: (key: string) => void) {
    this.#clock = clock;
    this.#keyOf = keyOf;
    this.#ask = ask;
  }

  /** Undefined: nothing to wait for. */
  learn(ip: string): Promise<void> | undefined {
    const key = this.#keyOf(ip);
    if (this.#answered.has(key)) return undefined;
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return waiting.done;
    let settle: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      const timer = this.#clock.after(WAIT_MS, resolve);
      settle = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#waiting.set(key, { done, settle });
    this.#ask(key);
    return done;
  }

  /** Endpoints are asked for when somebody wants to know who they are; the first request may go without. */
  index(known: WorkloadIndex): WorkloadIndex {
    return {
      byAddress: (ip) => {
        const peer = known.byAddress(ip);
        if (peer === undefined) void this.learn(ip);
        return peer;
      },
    };
  }

  /** Names and aliases of what came, or of what does not exist. */
  answered(keys: readonly string[]): void {
    for (const key of keys) {
      const waiting = this.#waiting.get(key);
      if (waiting === undefined) continue;
      this.#waiting.delete(key);
      // Whoever is asked for once more is known already: starting over now and then is cheap.
      if (this.#answered.size >= MAX_ANSWERED) this.#answered.clear();
      this.#answered.add(key);
      waiting.settle();
    }
  }
}
