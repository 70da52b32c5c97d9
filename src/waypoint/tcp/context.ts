/** What network filters see of a connection. */
import type { Clock } from "../../shared/base/clock.ts";
import type { ConnectionContext, FilterDecision, MetadataValue } from "../filters/filter.ts";
import type { DownstreamInfo } from "../http/stream.ts";

type Values = { readonly [key: string]: MetadataValue };

export class TcpContext implements ConnectionContext {
  readonly downstream: DownstreamInfo;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metadata = new Map<string, Values>();
  readonly decisions: FilterDecision[] = [];
  readonly #over = new AbortController();

  constructor(downstream: DownstreamInfo, clock: Clock, random: () => number) {
    this.downstream = downstream;
    this.clock = clock;
    this.random = random;
  }

  setMetadata(namespace: string, values: Values): void {
    this.metadata.set(namespace, { ...this.metadata.get(namespace), ...values });
  }

  note(decision: FilterDecision): void {
    this.decisions.push(decision);
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  end(): void {
    this.#over.abort();
  }
}
