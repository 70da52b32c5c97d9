/** A request that nobody sends, for filters and routes to be asked about. */
import type { Clock } from "../../shared/base/clock.ts";
import type { FilterDecision, MetadataValue, RequestContext } from "../filters/filter.ts";
import type { RequestHead, ResponseFlag } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { HttpChain } from "../model/chain.ts";
import type { Route } from "../model/route.ts";
import { selectRoute } from "../routing/select.ts";

type Values = { readonly [key: string]: MetadataValue };

/** Nothing waits: a delay is told, not taken. */
function impatient(clock: Clock): Clock {
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, fire) => clock.after(delayMs, fire),
    every: (intervalMs, fire) => clock.every(intervalMs, fire),
    sleep: () => Promise.resolve(),
  };
}

export class DryRequest implements RequestContext {
  readonly downstream: DownstreamInfo;
  readonly protocol = "HTTP/1.1";
  readonly head: RequestHead;
  readonly response = undefined;
  readonly upstream = undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly startWallMs: number;
  readonly metadata = new Map<string, Values>();
  readonly decisions: FilterDecision[] = [];
  readonly flags: ResponseFlag[] = [];
  readonly #chain: HttpChain;
  readonly #over = new AbortController();
  #route: Route | undefined | "unknown" = "unknown";

  constructor(
    chain: HttpChain,
    head: RequestHead,
    downstream: DownstreamInfo,
    clock: Clock,
    random: () => number,
  ) {
    this.#chain = chain;
    this.head = head;
    this.downstream = downstream;
    this.clock = impatient(clock);
    this.random = random;
    this.startWallMs = clock.wallMs();
  }

  get request(): RequestHead {
    return this.head;
  }

  get route(): Route | undefined {
    if (this.#route === "unknown") this.#route = selectRoute(this.#chain.routes, this.head, this);
    return this.#route;
  }

  get routeName(): string | undefined {
    return this.route?.name;
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  clearRoute(): void {
    this.#route = "unknown";
  }

  setMetadata(namespace: string, values: Values): void {
    this.metadata.set(namespace, { ...this.metadata.get(namespace), ...values });
  }

  addFlag(flag: ResponseFlag): void {
    if (!this.flags.includes(flag)) this.flags.push(flag);
  }

  note(decision: FilterDecision): void {
    this.decisions.push(decision);
  }

  bufferBody(): Promise<{ readonly bytes: Buffer; readonly complete: boolean }> {
    return Promise.resolve({ bytes: Buffer.alloc(0), complete: true });
  }
}
