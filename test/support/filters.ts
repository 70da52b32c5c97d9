/** Requests and connections for filters, without codecs around them. */
import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import type { Clock } from "../../src/shared/base/clock.ts";
import { DecisionCounters } from "../../src/waypoint/filters/counters.ts";
import type { FilterEnvironment } from "../../src/waypoint/filters/environment.ts";
import type {
  ConnectionContext,
  FilterDecision,
  FilterVerdict,
  HttpFilter,
  MetadataValue,
  RequestContext,
} from "../../src/waypoint/filters/filter.ts";
import { RemoteKeySets } from "../../src/waypoint/filters/jwt/remote-key-sets.ts";
import type {
  HttpCall,
  HttpOutcome,
  UnaryCall,
  UnaryOutcome,
  UpstreamCalls,
} from "../../src/waypoint/filters/upstream-calls.ts";
import { Fields, type RequestHead, type ResponseFlag } from "../../src/waypoint/http/message.ts";
import type { DownstreamInfo } from "../../src/waypoint/http/stream.ts";
import type { Route } from "../../src/waypoint/model/route.ts";
import { FakeClock } from "./clock.ts";

export function head(
  path = "/",
  fields: Readonly<Record<string, string>> = {},
  rest: Partial<RequestHead> = {},
): RequestHead {
  return {
    method: "GET",
    scheme: "http",
    authority: "reviews.shop:80",
    path,
    fields: new Fields(Object.entries(fields).flat()),
    upgrade: undefined,
    ...rest,
  };
}

export function downstream(rest: Partial<DownstreamInfo> = {}): DownstreamInfo {
  return {
    peerPrincipal: "spiffe://cluster.local/ns/shop/sa/web",
    localPrincipal: "spiffe://cluster.local/ns/shop/sa/waypoint",
    source: { ip: "10.10.1.10", port: 41_000 },
    destination: { ip: "10.96.1.1", port: 80 },
    connectAuthority: "10.96.1.1:80",
    connectHeaders: [],
    requestedServerName: undefined,
    connectionId: 1,
    startedWallMs: 1_790_000_000_000,
    ...rest,
  };
}

type Metadata = Map<string, { readonly [key: string]: MetadataValue }>;

class Common {
  readonly downstream: DownstreamInfo;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metadata: Metadata = new Map();
  readonly notes: FilterDecision[] = [];
  readonly over: AbortSignal;

  constructor(given: Given) {
    this.downstream = downstream(given.downstream);
    this.clock = given.clock ?? new FakeClock();
    this.random = given.random ?? (() => 0);
    this.over = given.over ?? new AbortController().signal;
    for (const [namespace, values] of Object.entries(given.metadata ?? {}))
      this.metadata.set(namespace, values);
  }

  setMetadata(namespace: string, values: { readonly [key: string]: MetadataValue }): void {
    this.metadata.set(namespace, { ...this.metadata.get(namespace), ...values });
  }

  note(decision: FilterDecision): void {
    this.notes.push(decision);
  }
}

export interface Given {
  readonly head?: RequestHead;
  readonly downstream?: Partial<DownstreamInfo>;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly over?: AbortSignal;
  readonly metadata?: Readonly<Record<string, { readonly [key: string]: MetadataValue }>>;
  readonly perFilter?: ReadonlyMap<string, unknown>;
  readonly body?: string;
}

/** Notes what was done to it. */
export class TestRequest extends Common implements RequestContext {
  readonly head: RequestHead;
  readonly route: Route | undefined;
  readonly flags: ResponseFlag[] = [];
  readonly protocol = "HTTP/1.1";
  readonly response = undefined;
  readonly startWallMs = 1_790_000_000_000;
  readonly routeName = undefined;
  readonly upstream = undefined;
  readonly bodyAsked: number[] = [];
  readonly #body: Buffer;
  routesCleared = 0;

  constructor(given: Given = {}) {
    super(given);
    this.head = given.head ?? head();
    this.route = given.perFilter && ({ perFilter: given.perFilter } as unknown as Route);
    this.#body = Buffer.from(given.body ?? "");
  }

  get request(): RequestHead {
    return this.head;
  }

  clearRoute(): void {
    this.routesCleared++;
  }

  addFlag(flag: ResponseFlag): void {
    this.flags.push(flag);
  }

  bufferBody(maxBytes: number): Promise<{ readonly bytes: Buffer; readonly complete: boolean }> {
    this.bodyAsked.push(maxBytes);
    return Promise.resolve({
      bytes: this.#body.subarray(0, maxBytes),
      complete: this.#body.length <= maxBytes,
    });
  }
}

export class TestConnection extends Common implements ConnectionContext {}

/** The verdict of a filter in words: "continue", or status, details and body. */
export async function verdictOf(
  filter: HttpFilter,
  request: RequestContext,
  endStream = true,
): Promise<"continue" | Extract<FilterVerdict, { readonly kind: "reply" }>["reply"]> {
  const verdict = await filter.onRequest?.(request, endStream);
  return verdict?.kind === "reply" ? verdict.reply : "continue";
}

/** Answers calls from a script and keeps them. */
export class ScriptedCalls implements UpstreamCalls {
  readonly httpCalls: HttpCall[] = [];
  readonly unaryCalls: UnaryCall[] = [];
  readonly #http: (call: HttpCall) => HttpOutcome | Promise<HttpOutcome>;
  readonly #unary: (call: UnaryCall) => UnaryOutcome | Promise<UnaryOutcome>;

  constructor(
    http: (call: HttpCall) => HttpOutcome | Promise<HttpOutcome> = noCluster,
    unary: (call: UnaryCall) => UnaryOutcome | Promise<UnaryOutcome> = noCluster,
  ) {
    this.#http = http;
    this.#unary = unary;
  }

  async http(call: HttpCall): Promise<HttpOutcome> {
    this.httpCalls.push(call);
    return await this.#http(call);
  }

  async unary(call: UnaryCall): Promise<UnaryOutcome> {
    this.unaryCalls.push(call);
    return await this.#unary(call);
  }
}

function noCluster(): HttpOutcome & UnaryOutcome {
  return { kind: "failed", reason: "no-cluster", detail: "no cluster" };
}

export function filterEnvironment(
  calls: UpstreamCalls = new ScriptedCalls(),
  clock: Clock = new FakeClock(),
): FilterEnvironment {
  return {
    clock,
    calls,
    keySets: new RemoteKeySets(calls, clock),
    counters: new DecisionCounters(),
  };
}

/** A message as Any. */
export function packed(
  schema: Parameters<typeof toBinary>[0],
  message: Parameters<typeof toBinary>[1],
): Any {
  return create(AnySchema, {
    typeUrl: `type.googleapis.com/${schema.typeName}`,
    value: toBinary(schema, message),
  });
}
