/** The demo's handle on an application in a pod. */
import type { ManagedProcess } from "../../world/process.ts";
import type { Pod } from "../../world/topology.ts";
import type { World } from "../../world/world.ts";
import type { AppCalls, AppConfig, AppMessage, CallName, SessionEnd } from "./protocol.ts";

interface Waiting {
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: Error) => void;
}

export type RequestEvent = Extract<AppMessage, { kind: "request" }>;

export class ShopApp {
  readonly pod: Pod;
  readonly process: ManagedProcess;
  readonly ready: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: SessionEnd[] = [];
  #nextId = 1;
  #onRequest: ((event: RequestEvent) => void) | undefined;
  #onReady: (() => void) | undefined;

  private constructor(pod: Pod, child: ManagedProcess) {
    this.pod = pod;
    this.process = child;
    const ready = new Promise<void>((resolve) => {
      this.#onReady = resolve;
    });
    const ended = child.exited.then(() => {
      const error = child.failure("ended");
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      throw error;
    });
    this.ready = Promise.race([ready, ended]);
    ended.catch(() => undefined);
    child.onMessage((message) => this.#take(message as AppMessage));
  }

  /** Starts the application of a pod; `program` is the command line of `ambit` itself. */
  static start(world: World, pod: Pod, program: readonly string[]): ShopApp {
    const config: AppConfig = { app: pod.app, version: pod.version, pod: pod.name };
    const child = world.start(pod.netns, {
      name: pod.name,
      command: [...program, "demo", "--app", JSON.stringify(config)],
      channel: true,
    });
    return new ShopApp(pod, child);
  }

  /** Resolves with the answer; rejects with the application's reason. */
  call<K extends CallName>(call: K, input: AppCalls[K]["input"]): Promise<AppCalls[K]["output"]> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {
        resolve: (output) => resolve(output as AppCalls[K]["output"]),
        reject,
      });
      this.process.send({ id, call, input });
    });
  }

  /** Why a session was ended by somebody else; undefined while it lives. */
  sessionEnd(session: string): SessionEnd | undefined {
    return this.#ended.find((end) => end.session === session);
  }

  onRequest(listener: (event: RequestEvent) => void): void {
    this.#onRequest = listener;
  }

  #take(message: AppMessage): void {
    switch (message.kind) {
      case "ready":
        this.#onReady?.();
        return;
      case "answer":
      case "failure":
        this.#settle(message);
        return;
      case "session-end":
        this.#ended.push(message.end);
        return;
      case "request":
        this.#onRequest?.(message);
        return;
    }
  }

  #settle(message: Extract<AppMessage, { kind: "answer" | "failure" }>): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "answer") waiting?.resolve(message.output);
    else waiting?.reject(new Error(message.reason));
  }
}
