/** One exchange between a client's stream and a cluster that the test plays. */
import type { Clock } from "../../../src/shared/base/clock.ts";
import { Exchange } from "../../../src/waypoint/exchange/exchange.ts";
import {
  Fields,
  type HttpProtocol,
  type RequestHead,
  type ResponseHead,
} from "../../../src/waypoint/http/message.ts";
import type { BodyWriter, ResetReason, ServerStream } from "../../../src/waypoint/http/stream.ts";
import type { HttpChain } from "../../../src/waypoint/model/chain.ts";
import type { StreamRecord } from "../../../src/waypoint/telemetry/record.ts";
import { noTelemetry } from "../../../src/waypoint/telemetry/request-telemetry.ts";
import type {
  AttemptOutcome,
  Cluster,
  Endpoint,
  Picked,
  PickFacts,
  RetryPermit,
  UpstreamReceiver,
} from "../../../src/waypoint/upstream/upstream.ts";
import { FakeClock } from "../clock.ts";
import { downstream } from "../stream-record.ts";
import { clustersOf, endpointAt } from "./static-clusters.ts";

/** A request as it reached an endpoint; the test answers it through `receiver`. */
export class Upstreamed implements BodyWriter {
  readonly endpoint: Endpoint;
  /** As it was when it was sent. */
  readonly head: RequestHead;
  readonly receiver: UpstreamReceiver;
  body_ = "";
  ended: boolean;
  trailers: readonly string[] | undefined;
  reason: ResetReason | undefined;
  resumed = 0;
  takesMore = true;

  constructor(endpoint: Endpoint, head: RequestHead, ended: boolean, receiver: UpstreamReceiver) {
    this.endpoint = endpoint;
    this.head = { ...head, fields: head.fields.copy() };
    this.ended = ended;
    this.receiver = receiver;
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    this.body_ += bytes.toString("latin1", start, end);
    return this.takesMore;
  }

  end(trailers: Fields | undefined): void {
    this.ended = true;
    this.trailers = trailers?.flat;
  }

  reset(reason: ResetReason): void {
    this.reason = reason;
  }

  resume(): void {
    this.resumed++;
  }

  connected(): this {
    this.receiver.connected({ protocol: "HTTP/1.1", localAddress: "127.0.0.1:9", reused: false });
    return this;
  }

  answer(status: number, fields: string[] = [], body?: string): void {
    this.receiver.head({ status, fields: new Fields(fields) }, body === undefined);
    if (body === undefined) return;
    const bytes = Buffer.from(body, "latin1");
    this.receiver.body(bytes, 0, bytes.length);
    this.receiver.end(undefined);
  }
}

export class FakeCluster implements Cluster {
  readonly name: string;
  readonly statName: string;
  readonly service = undefined;
  readonly requests: Upstreamed[] = [];
  readonly outcomes: AttemptOutcome[] = [];
  readonly picks: PickFacts[] = [];
  endpoints: Endpoint[] = [endpointAt(1), endpointAt(2), endpointAt(3)];
  retriesAllowed = 10;
  openRetries = 0;
  /** Called inside `request`, before it returns. */
  atOnce: ((request: Upstreamed) => void) | undefined;

  constructor(name: string) {
    this.name = name;
    this.statName = `${name};`;
  }

  tryStartRetry(): RetryPermit | undefined {
    if (this.openRetries >= this.retriesAllowed) return undefined;
    this.openRetries++;
    return {
      release: () => {
        this.openRetries--;
      },
    };
  }

  pick(facts: PickFacts): Picked {
    this.picks.push({ ...facts, tried: [...facts.tried] });
    const endpoint = this.endpoints[this.requests.length % Math.max(1, this.endpoints.length)];
    if (endpoint === undefined) return { kind: "none", flag: "UH", details: "no_healthy_upstream" };
    return { kind: "endpoint", endpoint };
  }

  request(
    endpoint: Endpoint,
    head: RequestHead,
    endStream: boolean,
    receiver: UpstreamReceiver,
  ): BodyWriter {
    const request = new Upstreamed(endpoint, head, endStream, receiver);
    this.requests.push(request);
    this.atOnce?.(request);
    return request;
  }

  connect(): Promise<never> {
    throw new Error("not here");
  }

  report(_endpoint: Endpoint, outcome: AttemptOutcome): void {
    this.outcomes.push(outcome);
  }

  /** The request that came last. */
  get last(): Upstreamed {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error(`nothing came to ${this.name}`);
    return request;
  }
}

export class ExchangeUnderTest implements ServerStream {
  readonly connection = downstream();
  readonly protocol: HttpProtocol = "HTTP/1.1";
  readonly wireBytesReceived = 0;
  readonly wireBytesSent = 0;
  readonly interims: number[] = [];
  readonly cluster = new FakeCluster("web");
  readonly other = new FakeCluster("other");
  readonly clock = new FakeClock();
  readonly records: StreamRecord[] = [];
  readonly exchange: Exchange;
  sent: ResponseHead | undefined;
  sentBody = "";
  sentEnd = false;
  sentTrailers: readonly string[] | undefined;
  sentReset: ResetReason | undefined;
  resumed = 0;
  takesMore = true;
  draw = 0;

  constructor(chain: HttpChain, change: Partial<RequestHead> = {}, clock: Clock = this.clock) {
    const head = {
      method: "GET",
      scheme: "http",
      authority: "web",
      path: "/",
      fields: new Fields(),
      upgrade: undefined,
      ...change,
    };
    const deps = {
      clusters: clustersOf(this.cluster, this.other),
      telemetry: {
        ...noTelemetry,
        finish: (_chain: unknown, record: StreamRecord) => this.records.push(record),
      },
      clock,
      random: () => this.draw,
      sourcePeer: () => undefined,
    };
    this.exchange = new Exchange(deps, chain, head, this);
  }

  /** With a body, `body` and `end` of the exchange follow. */
  start(endStream = true): this {
    this.exchange.start(endStream);
    return this;
  }

  play(text: string): boolean {
    const bytes = Buffer.from(text, "latin1");
    const taken = this.exchange.body(bytes, 0, bytes.length);
    bytes.fill(0);
    return taken;
  }

  /** Status, details and flags as the log has them. */
  get outcome(): readonly [number | undefined, string | undefined, string] {
    if (this.records.length !== 1) throw new Error(`${this.records.length} records`);
    const [record] = this.records;
    return [record?.http?.status, record?.details, (record?.flags ?? []).join(",")];
  }

  interim({ status }: ResponseHead): void {
    this.interims.push(status);
  }

  head(head: ResponseHead, endStream: boolean): void {
    if (this.sent !== undefined) throw new Error("two heads");
    this.sent = head;
    this.sentEnd = endStream;
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    this.sentBody += bytes.toString("latin1", start, end);
    return this.takesMore;
  }

  end(trailers: Fields | undefined): void {
    if (this.sentEnd) throw new Error("two ends");
    this.sentEnd = true;
    this.sentTrailers = trailers?.flat;
  }

  reset(reason: ResetReason): void {
    this.sentReset = reason;
  }

  resume(): void {
    this.resumed++;
  }
}
