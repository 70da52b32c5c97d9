/** Questions that one thread asks another, each answered once. */
import { asMeshError, MeshError } from "../../shared/base/errors.ts";
import type { Outcome } from "./messages.ts";

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The side that asks. */
export class Calls<Request> {
  readonly #send: (call: number, request: Request) => void;
  readonly #waiting = new Map<number, Waiter>();
  #next = 0;
  #over: MeshError | undefined;

  constructor(send: (call: number, request: Request) => void) {
    this.#send = send;
  }

  /** Rejects with the MeshError that the other side failed with, or with the one that ended all calls. */
  ask(request: Request): Promise<unknown> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const call = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.#send(call, request);
    });
  }

  settle(call: number, outcome: Outcome): void {
    const waiter = this.#waiting.get(call);
    if (waiter === undefined) throw new TypeError(`answer to a call ${call} that nobody made`);
    this.#waiting.delete(call);
    if (outcome.kind === "done") waiter.resolve(outcome.value);
    else waiter.reject(new MeshError(outcome.code, outcome.message));
  }

  /** The other side is gone: whoever waits, and whoever asks from now on, is told. */
  end(error: MeshError): void {
    this.#over = error;
    for (const waiter of this.#waiting.values()) waiter.reject(error);
    this.#waiting.clear();
  }
}

/** The side that answers: whatever `work` does, there is an outcome. */
export async function outcomeOf(work: () => unknown): Promise<Outcome> {
  try {
    return { kind: "done", value: (await work()) ?? null };
  } catch (thrown) {
    const { code, message } = asMeshError(thrown, "system-failed");
    return { kind: "failed", code, message };
  }
}
