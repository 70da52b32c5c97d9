/** One request to one endpoint, its whole answer collected. Settles once, whatever happens first, and leaves nothing behind. */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import type { Fields, RequestHead, ResponseHead } from "../http/message.ts";
import type { BodyWriter, ResetReason } from "../http/stream.ts";
import type {
  Cluster,
  Endpoint,
  PickFacts,
  UpstreamFailure,
  UpstreamReceiver,
} from "../upstream/upstream.ts";
import type { CallFailure } from "./upstream-calls.ts";

export type Collected =
  | {
      readonly kind: "collected";
      readonly head: ResponseHead;
      readonly body: Buffer;
      readonly trailers: Fields | undefined;
    }
  | CallFailure;

export interface CallLimits {
  readonly maxAnswerBytes: number;
  /** 0: none. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

export class CollectedCall implements UpstreamReceiver {
  readonly #limits: CallLimits;
  readonly #chunks: Buffer[] = [];
  readonly #onAbort = (): void => this.#giveUp("aborted", "the request ended");
  #bytes = 0;
  #head: ResponseHead | undefined;
  #writer: BodyWriter | undefined;
  #timer: Timer | undefined;
  #settle: ((collected: Collected) => void) | undefined;
  #report: (status: number | undefined) => void = () => undefined;

  constructor(limits: CallLimits) {
    this.#limits = limits;
  }

  run(
    cluster: Cluster,
    endpoint: Endpoint,
    head: RequestHead,
    body: Buffer | undefined,
    facts: PickFacts,
  ): Promise<Collected> {
    const { signal, timeoutMs, clock } = this.#limits;
    if (signal?.aborted) return Promise.resolve(failure("aborted", "the request ended"));
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#report = (status) =>
        cluster.report(
          endpoint,
          status === undefined
            ? { kind: "reset" }
            : { kind: "status", status, grpcStatus: undefined },
        );
      signal?.addEventListener("abort", this.#onAbort, { once: true });
      if (timeoutMs > 0)
        this.#timer = clock.after(timeoutMs, () => {
          cluster.report(endpoint, { kind: "timeout" });
          this.#report = () => undefined;
          this.#giveUp("timeout", `no answer within ${timeoutMs} ms`);
        });
      const writer = cluster.request(endpoint, head, body === undefined, this, facts);
      this.#writer = writer;
      // It may have failed on the spot.
      if (this.#settle === undefined || body === undefined) return;
      writer.body(body, 0, body.length);
      writer.end(undefined);
    });
  }

  connected(): void {
    // Nothing to note: the deadline covers everything.
  }

  unavailable(problem: UpstreamFailure): void {
    this.#finish(failure("unavailable", `${problem.kind}: ${problem.reason}`));
  }

  interim(): void {
    // 100 Continue and the like say nothing to a caller that has sent everything.
  }

  head(head: ResponseHead, endStream: boolean): void {
    this.#head = head;
    if (endStream) this.end(undefined);
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    this.#bytes += end - start;
    if (this.#bytes > this.#limits.maxAnswerBytes)
      this.#giveUp("garbled", `the answer has more than ${this.#limits.maxAnswerBytes} octets`);
    else this.#chunks.push(Buffer.from(bytes.subarray(start, end)));
    return true;
  }

  end(trailers: Fields | undefined): void {
    const head = this.#head;
    if (head === undefined || this.#settle === undefined) return;
    this.#report(head.status);
    this.#finish({ kind: "collected", head, body: Buffer.concat(this.#chunks), trailers });
  }

  reset(reason: ResetReason): void {
    if (this.#settle === undefined) return;
    this.#report(undefined);
    const detail = "detail" in reason ? `${reason.kind}: ${reason.detail}` : reason.kind;
    this.#finish(failure("reset", detail));
  }

  writable(): void {
    // The whole body was given at once.
  }

  #giveUp(reason: CallFailure["reason"], detail: string): void {
    if (this.#settle === undefined) return;
    this.#writer?.reset({ kind: "local", detail });
    this.#finish(failure(reason, detail));
  }

  #finish(collected: Collected): void {
    const settle = this.#settle;
    if (settle === undefined) return;
    this.#settle = undefined;
    this.#timer?.cancel();
    this.#limits.signal?.removeEventListener("abort", this.#onAbort);
    settle(collected);
  }
}

function failure(reason: CallFailure["reason"], detail: string): CallFailure {
  return { kind: "failed", reason, detail };
}
