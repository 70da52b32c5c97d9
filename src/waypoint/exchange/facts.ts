/** A request's facts: everything that a filter, a format or a record may ask of it. */
import type { Clock } from "../../shared/base/clock.ts";
import type { FilterDecision, MetadataValue, RequestContext } from "../filters/filter.ts";
import type {
  Fields,
  HttpProtocol,
  RequestHead,
  ResponseFlag,
  ResponseHead,
} from "../http/message.ts";
import type { DownstreamInfo, ServerStream } from "../http/stream.ts";
import type { HttpChain } from "../model/chain.ts";
import type { Route } from "../model/route.ts";
import type { FormatFacts, FormatUpstream } from "../routing/format.ts";
import { selectRoute } from "../routing/select.ts";
import type { Clusters } from "../upstream/upstream.ts";
import type { ExchangeDeps } from "./deps.ts";
import { isGrpc, MessageCounter } from "./grpc.ts";
import { Moments } from "./moments.ts";
import type { Router } from "./router.ts";

export type MetadataValues = { readonly [key: string]: MetadataValue };

const noMetadata: ReadonlyMap<string, MetadataValues> = new Map();
const noFlags: readonly ResponseFlag[] = [];
const noDecisions: readonly FilterDecision[] = [];

export abstract class RequestFacts implements RequestContext, FormatFacts {
  readonly deps: ExchangeDeps;
  readonly chain: HttpChain;
  readonly head: RequestHead;
  readonly stream: ServerStream;
  readonly clock: Clock;
  readonly random: () => number;
  readonly clusters: Clusters;
  readonly isGrpc: boolean;
  readonly startWallMs: number;
  readonly startMs: number;
  readonly moments = new Moments();
  readonly originalPath: string;
  response: ResponseHead | undefined;
  metadata: ReadonlyMap<string, MetadataValues> = noMetadata;
  flags: readonly ResponseFlag[] = noFlags;
  decisions: readonly FilterDecision[] = noDecisions;
  details: string | undefined;
  trailers: Fields | undefined;
  bytesReceived = 0;
  bytesSent = 0;
  /** The answer's status; 0: none was sent. */
  status = 0;
  readonly requestMessages: MessageCounter | undefined;
  readonly responseMessages: MessageCounter | undefined;
  protected router: Router | undefined;
  #route: Route | undefined | "unknown" = "unknown";
  #over: AbortController | "aborted" | undefined;

  constructor(deps: ExchangeDeps, chain: HttpChain, head: RequestHead, stream: ServerStream) {
    this.deps = deps;
    this.chain = chain;
    this.head = head;
    this.stream = stream;
    this.clock = deps.clock;
    this.random = deps.random;
    this.clusters = deps.clusters;
    this.startWallMs = deps.clock.wallMs();
    this.startMs = deps.clock.monotonicMs();
    this.originalPath = head.path;
    this.isGrpc = isGrpc(head.fields);
    this.requestMessages = this.isGrpc ? new MessageCounter() : undefined;
    this.responseMessages = this.isGrpc ? new MessageCounter() : undefined;
  }

  abstract bufferBody(
    maxBytes: number,
  ): Promise<{ readonly bytes: Buffer; readonly complete: boolean }>;

  /** A route was chosen, for the first time or anew. */
  protected abstract routeChosen(route: Route | undefined): void;

  get downstream(): DownstreamInfo {
    return this.stream.connection;
  }

  get request(): RequestHead {
    return this.head;
  }

  get protocol(): HttpProtocol {
    return this.stream.protocol;
  }

  get route(): Route | undefined {
    if (this.#route === "unknown") {
      this.#route = selectRoute(this.chain.routes, this.head, this);
      this.routeChosen(this.#route);
    }
    return this.#route;
  }

  /** What the route calls the operation; names the span. */
  get operation(): string | undefined {
    return this.#route === "unknown" ? undefined : this.#route?.decoratorOperation;
  }

  get routeName(): string | undefined {
    return this.#route === "unknown" ? undefined : this.#route?.name;
  }

  get upstream(): FormatUpstream | undefined {
    return this.router?.upstream();
  }

  clearRoute(): void {
    this.#route = "unknown";
  }

  /** Milliseconds since the request began. */
  sinceStartMs(): number {
    return this.clock.monotonicMs() - this.startMs;
  }

  setMetadata(namespace: string, values: MetadataValues): void {
    const metadata = new Map(this.metadata);
    metadata.set(namespace, { ...this.metadata.get(namespace), ...values });
    this.metadata = metadata;
  }

  addFlag(flag: ResponseFlag): void {
    if (!this.flags.includes(flag)) this.flags = [...this.flags, flag];
  }

  note(decision: FilterDecision): void {
    this.decisions = this.decisions === noDecisions ? [decision] : [...this.decisions, decision];
  }

  get over(): AbortSignal {
    if (this.#over === "aborted") return AbortSignal.abort();
    this.#over ??= new AbortController();
    return this.#over.signal;
  }

  protected endContext(): void {
    const over = this.#over;
    this.#over = "aborted";
    if (over instanceof AbortController) over.abort();
  }
}
