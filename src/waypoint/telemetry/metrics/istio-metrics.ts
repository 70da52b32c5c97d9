/** The reference's metrics of requests and connections (wire/waypoint.md section 7.1). */
import type { Clock, Timer } from "../../../shared/base/clock.ts";
import type { StatsConfig } from "../config.ts";
import { isGrpc } from "../grpc-status.ts";
import type { StreamRecord } from "../record.ts";
import type { RecordSource } from "../request-telemetry.ts";
import { Families } from "./families.ts";
import { type ConnectionMeters, type MessageMeters, Recorder } from "./recorder.ts";

export interface IstioMetricsOptions {
  readonly istioVersion: string;
  /** Upper limits of histograms; undefined: Envoy's. */
  readonly buckets?: readonly number[] | undefined;
}

/** What has been counted of a stream that is still open. */
interface Watched {
  readonly source: RecordSource;
  readonly recorder: Recorder;
  /** Those of the first report; what comes later does not change labels. */
  connection: ConnectionMeters | undefined;
  messages: MessageMeters | undefined;
  sent: number;
  received: number;
  requestMessages: number;
  responseMessages: number;
}

interface Round {
  readonly timer: Timer;
  readonly watched: Set<Watched>;
}

export class IstioMetrics {
  readonly #clock: Pick<Clock, "every">;
  readonly #families: Families;
  /** By configuration: chains come and go, and most have the same. */
  readonly #recorders = new WeakMap<StatsConfig, Recorder>();
  readonly #watched = new Map<RecordSource, Watched>();
  /** By interval. */
  readonly #rounds = new Map<number, Round>();

  constructor(clock: Pick<Clock, "every">, { istioVersion, buckets }: IstioMetricsOptions) {
    this.#clock = clock;
    this.#families = new Families(istioVersion, buckets);
  }

  /** Counts what an open stream does from time to time, until it is `finished`. */
  watch(config: StatsConfig, source: RecordSource): void {
    const watched: Watched = {
      source,
      recorder: this.#recorder(config),
      connection: undefined,
      messages: undefined,
      sent: 0,
      received: 0,
      requestMessages: 0,
      responseMessages: 0,
    };
    this.#watched.set(source, watched);
    if (config.tcpReportingDurationMs > 0)
      this.#round(config.tcpReportingDurationMs).watched.add(watched);
  }

  /** `source`: as it was watched. */
  finished(config: StatsConfig, record: StreamRecord, source: RecordSource | undefined): void {
    const recorder = this.#recorder(config);
    const watched = source && this.#forget(config, source);
    if (record.http === undefined) {
      const last = watched ?? this.#unwatched(recorder, record);
      const meters = countConnection(last, record);
      meters.closed.add(1, record);
      return;
    }
    if (isGrpc(record.http)) countMessages(watched ?? this.#unwatched(recorder, record), record);
    const meters = recorder.requests(record, record.http);
    meters.requests.add(1, record);
    meters.duration.observe(Math.trunc(record.durationMs), record);
    meters.requestBytes.observe(record.wireBytesReceived, record);
    meters.responseBytes.observe(record.wireBytesSent, record);
  }

  render(): string {
    return this.#families.render();
  }

  /** Streams that are watched; for tests and leaks. */
  get watchedCount(): number {
    return this.#watched.size;
  }

  close(): void {
    for (const { timer } of this.#rounds.values()) timer.cancel();
    this.#rounds.clear();
    this.#watched.clear();
  }

  #recorder(config: StatsConfig): Recorder {
    let recorder = this.#recorders.get(config);
    if (recorder === undefined) {
      recorder = new Recorder(this.#families, config.overrides);
      this.#recorders.set(config, recorder);
    }
    return recorder;
  }

  #unwatched(recorder: Recorder, record: StreamRecord): Watched {
    return {
      source: { record: () => record },
      recorder,
      connection: undefined,
      messages: undefined,
      sent: 0,
      received: 0,
      requestMessages: 0,
      responseMessages: 0,
    };
  }

  #forget(config: StatsConfig, source: RecordSource): Watched | undefined {
    const watched = this.#watched.get(source);
    if (watched === undefined) return undefined;
    this.#watched.delete(source);
    const round = this.#rounds.get(config.tcpReportingDurationMs);
    round?.watched.delete(watched);
    if (round?.watched.size === 0) {
      round.timer.cancel();
      this.#rounds.delete(config.tcpReportingDurationMs);
    }
    return watched;
  }

  #round(intervalMs: number): Round {
    let round = this.#rounds.get(intervalMs);
    if (round === undefined) {
      const watched = new Set<Watched>();
      const timer = this.#clock.every(intervalMs, () => {
        for (const one of watched) report(one);
      });
      round = { timer, watched };
      this.#rounds.set(intervalMs, round);
    }
    return round;
  }
}

/** As long as nothing has passed, the peers are not known and nothing is reported. */
function report(watched: Watched): void {
  const record = watched.source.record();
  if (record.http !== undefined) {
    if (record.upstream?.peer !== undefined) countMessages(watched, record);
    return;
  }
  const silent = record.bytesReceived === 0 && record.bytesSent === 0;
  if (watched.connection !== undefined || !silent) countConnection(watched, record);
}

function countConnection(watched: Watched, record: StreamRecord): ConnectionMeters {
  let meters = watched.connection;
  if (meters === undefined) {
    meters = watched.recorder.connections(record);
    watched.connection = meters;
    meters.opened.add(1, record);
  }
  meters.sent.add(record.bytesSent - watched.sent, record);
  meters.received.add(record.bytesReceived - watched.received, record);
  watched.sent = record.bytesSent;
  watched.received = record.bytesReceived;
  return meters;
}

function countMessages(watched: Watched, record: StreamRecord): void {
  const { http } = record;
  if (http === undefined) return;
  watched.messages ??= watched.recorder.messages(record);
  watched.messages.request.add(http.requestMessages - watched.requestMessages, record);
  watched.messages.response.add(http.responseMessages - watched.responseMessages, record);
  watched.requestMessages = http.requestMessages;
  watched.responseMessages = http.responseMessages;
}
