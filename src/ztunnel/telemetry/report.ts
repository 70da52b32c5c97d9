/**
 * One connection as the outside world hears of it: counted when it opens, counted and logged once when it ends. Bytes are
 * read from the flow when metrics are printed and at the end, so moving them costs nothing here.
 */
import type { Clock } from "../../shared/base/clock.ts";
import type { MeshError } from "../../shared/base/errors.ts";
import { Roster, type RosterMember } from "../../shared/base/roster.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import { type AccessFacts, AccessLog, type Direction } from "./access-log.ts";
import type { TrafficMetrics, TrafficSeries } from "./metrics.ts";
import type { TrafficContext } from "./traffic.ts";

/** Bytes so far: from client to server, and from server to client. */
export interface ByteCounts {
  readonly toServer: number;
  readonly toClient: number;
}

const nothing: ByteCounts = { toServer: 0, toClient: 0 };

export class ConnectionReport implements RosterMember {
  rosterPlace = -1;
  readonly #reporter: TrafficReporter;
  readonly #facts: AccessFacts;
  readonly #context: TrafficContext;
  readonly #series: TrafficSeries;
  readonly #startedMs: number;
  #bytes: () => ByteCounts = () => nothing;
  #counted: ByteCounts = nothing;
  #ended = false;

  constructor(reporter: TrafficReporter, facts: AccessFacts, context: TrafficContext) {
    this.#reporter = reporter;
    this.#facts = facts;
    this.#context = context;
    this.#startedMs = reporter.clock.monotonicMs();
    this.#series = reporter.metrics.traffic(context);
    this.#series.opened.value++;
    reporter.log.opened(facts, context);
  }

  /** From now on bytes are counted by this flow. */
  follow(bytes: () => ByteCounts): void {
    this.#bytes = bytes;
  }

  /** Brings the byte counters up to date. */
  flush(): void {
    const now = this.#bytes();
    this.#series.received.value += now.toServer - this.#counted.toServer;
    this.#series.sent.value += now.toClient - this.#counted.toClient;
    this.#counted = { toServer: now.toServer, toClient: now.toClient };
  }

  /** Counts and logs the end; only the first call does. */
  end(error?: MeshError, policy?: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.flush();
    this.#reporter.forget(this);
    const flag = error?.flag ?? "-";
    this.#series.closed(flag).value++;
    if (error !== undefined) this.#series.failed(flag).value++;
    const { log, clock } = this.#reporter;
    const outbound = this.#facts.direction === "outbound";
    const { toServer, toClient } = this.#counted;
    log.completed(this.#facts, this.#context, {
      bytesSent: outbound ? toServer : toClient,
      bytesReceived: outbound ? toClient : toServer,
      durationMs: clock.monotonicMs() - this.#startedMs,
      error: error?.message,
      policy,
    });
  }
}

export class TrafficReporter {
  readonly metrics: TrafficMetrics;
  readonly log: AccessLog;
  readonly clock: Clock;
  readonly #open = new Roster<ConnectionReport>();
  #taken = 0;

  /** `logger` is of scope `access`. */
  constructor(metrics: TrafficMetrics, logger: Logger, clock: Clock) {
    this.metrics = metrics;
    this.log = new AccessLog(logger);
    this.clock = clock;
  }

  get openConnections(): number {
    return this.#open.size;
  }

  /** Since the start. */
  get takenConnections(): number {
    return this.#taken;
  }

  open(facts: AccessFacts, context: TrafficContext): ConnectionReport {
    const report = new ConnectionReport(this, facts, context);
    this.#taken++;
    this.#open.add(report);
    return report;
  }

  /** Called by the report itself. */
  forget(report: ConnectionReport): void {
    this.#open.delete(report);
  }

  /** Before metrics are printed. */
  flush(): void {
    for (const report of this.#open.toArray()) report.flush();
  }

  /** Refused before enough is known about it for the metrics of traffic: one line, and a count by reason. */
  earlyDeny(
    direction: Direction,
    source: SocketAddress | undefined,
    destination: SocketAddress | undefined,
    error: Pick<MeshError, "code" | "message">,
  ): void {
    const reporter = direction === "outbound" ? "source" : "destination";
    this.metrics.refused(reporter, error.code).value++;
    this.log.earlyDeny(direction, source, destination, error.message);
  }
}
