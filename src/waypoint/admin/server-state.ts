/** Where the process stands, in Envoy's words. */
import type { Readiness } from "../../shared/base/readiness.ts";

export type ServerState = "LIVE" | "DRAINING" | "INITIALIZING";

/** Numbers of the gauge server.state. */
const numbers: Readonly<Record<ServerState, number>> = { LIVE: 0, DRAINING: 1, INITIALIZING: 3 };

export class Lifecycle {
  readonly #readiness: Readiness;
  #draining = false;

  constructor(readiness: Readiness) {
    this.#readiness = readiness;
  }

  get state(): ServerState {
    if (this.#draining) return "DRAINING";
    return this.#readiness.ready ? "LIVE" : "INITIALIZING";
  }

  get number(): number {
    return numbers[this.state];
  }

  drain(): void {
    this.#draining = true;
  }
}
