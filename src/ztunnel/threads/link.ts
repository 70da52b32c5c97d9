/** The main thread's end of the connection to one other thread. */
import { MeshError } from "../../shared/base/errors.ts";
import { Calls, outcomeOf } from "./calls.ts";
import { linesTaken, newLinesInFlight } from "./log-relay.ts";
import type {
  Accepted,
  FromThread,
  MainRequest,
  ThreadAnswers,
  ThreadRequest,
  ToThread,
} from "./messages.ts";
import type { StartThread, ThreadHandle, ThreadStart } from "./port.ts";
import { readFromThread, readThreadAnswer } from "./read-message.ts";

export interface LinkDeps {
  readonly startThread: StartThread;
  readonly writeLog: (text: string) => void;
  readonly serve: (request: MainRequest) => Promise<unknown>;
  readonly handOver: (pod: number, thread: number, accepted: Accepted) => void;
}

export class ThreadLink {
  readonly thread: number;
  /** Resolves when the thread takes messages. */
  readonly up: Promise<void>;
  /** Rejects when the thread ends unasked, or says what it cannot say. */
  readonly lost: Promise<never>;
  readonly #deps: LinkDeps;
  readonly #handle: ThreadHandle;
  readonly #calls: Calls<ThreadRequest>;
  readonly #linesInFlight = newLinesInFlight();
  #state: "running" | "ending" | "ended" = "running";
  #isUp: () => void = () => undefined;
  #lose: (error: MeshError) => void = () => undefined;

  constructor(deps: LinkDeps, start: Omit<ThreadStart, "linesInFlight">) {
    this.thread = start.thread;
    this.#deps = deps;
    this.up = new Promise((resolve) => {
      this.#isUp = resolve;
    });
    this.lost = new Promise((_, reject) => {
      this.#lose = reject;
    });
    this.lost.catch(() => undefined);
    this.#handle = deps.startThread({ ...start, linesInFlight: this.#linesInFlight });
    this.#calls = new Calls((call, request) => this.post({ kind: "call", call, request }));
    this.#handle.onMessage((value) => this.#take(value));
    void this.#handle.ended.then((error) => this.#ended(error));
  }

  post(message: ToThread): void {
    if (this.#state !== "ended") this.#handle.post(message);
  }

  async ask<K extends ThreadRequest["kind"]>(
    request: Extract<ThreadRequest, { readonly kind: K }>,
  ): Promise<ThreadAnswers[K]> {
    // The kind of an answer is that of its question.
    const kind = request.kind as K;
    return readThreadAnswer(kind, await this.#calls.ask(request));
  }

  /** Resolves when the thread has ended, and everything that it said has been heard. */
  async end(): Promise<void> {
    if (this.#state === "running") {
      this.#state = "ending";
      this.#handle.post({ kind: "end" } satisfies ToThread);
    }
    await this.#handle.ended;
  }

  terminate(): void {
    if (this.#state === "ended") return;
    this.#state = "ending";
    this.#handle.terminate();
  }

  #ended(error: Error | undefined): void {
    const asked = this.#state === "ending";
    this.#state = "ended";
    const text = `data-path thread ${this.thread} ended`;
    const failure = new MeshError("system-failed", error ? `${text}: ${error.message}` : text, {
      cause: error,
    });
    this.#calls.end(failure);
    if (!asked) this.#lose(failure);
  }

  #take(value: unknown): void {
    let message: FromThread;
    try {
      message = readFromThread(value);
    } catch (thrown) {
      this.#lose(
        new MeshError("system-failed", `data-path thread ${this.thread} is not understood`, {
          cause: thrown,
        }),
      );
      return;
    }
    switch (message.kind) {
      case "up":
        this.#isUp();
        return;
      case "lines":
        this.#deps.writeLog(message.text);
        linesTaken(this.#linesInFlight, message.text);
        return;
      case "hand-over":
        this.#deps.handOver(message.pod, message.thread, message.accepted);
        return;
      case "answer":
        this.#calls.settle(message.call, message.outcome);
        return;
      case "call": {
        const { call, request } = message;
        void outcomeOf(() => this.#deps.serve(request)).then((outcome) =>
          this.post({ kind: "answer", call, outcome }),
        );
        return;
      }
    }
  }
}
