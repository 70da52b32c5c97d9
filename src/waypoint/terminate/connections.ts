/**
 * The connections inside tunnels: each finds its chain by destination and, where the configuration says so, by its first octets
 * (wire/waypoint.md section 3.3), and is served by it until it ends.
 */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { sniffCodec, sniffProtocol } from "../http/sniff.ts";
import type { HttpVersion } from "../http/sniff-http.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { Opening } from "../http/transport.ts";
import type { Chain, ChainChoice, ChainMatcher, HttpChain } from "../model/chain.ts";
import type { ChainServers, Served } from "./chain-servers.ts";

export interface ConnectionsDeps {
  /** Of the configuration in force. */
  readonly matcher: () => ChainMatcher | undefined;
  readonly servers: ChainServers;
  readonly clock: Clock;
}

interface Found {
  readonly matcher: ChainMatcher;
  readonly choice: Exclude<ChainChoice, { kind: "none" }>;
}

interface Entry {
  readonly chain: Chain;
  readonly served: Served;
}

/** What the reference gives connections of a chain that has changed (its --drain-time-s). */
const drainChangedMs = 45_000;
/**
 * A node proxy may hear that a service is behind this waypoint before the waypoint does. A destination that nothing is known of
 * waits so long for the configuration; the reference's waits for its inspectors meanwhile.
 */
const unknownDestinationMs = 1_000;
/** More than that are refused at once. */
const maxWaiting = 1_024;

export class Connections {
  readonly #deps: ConnectionsDeps;
  readonly #open = new Set<Entry>();
  /** Being looked at, in no chain yet. */
  #undecided = 0;
  #state: "serving" | "draining" | "stopped" = "serving";
  readonly #timers = new Set<Timer>();
  readonly #whenEmpty: (() => void)[] = [];
  /** Called when chains have changed, or nothing is to be waited for any more. */
  readonly #waiting = new Set<() => void>();

  constructor(deps: ConnectionsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#open.size + this.#undecided;
  }

  /** Serves one connection to its end. Never rejects. */
  async serve(opening: Opening, downstream: DownstreamInfo): Promise<void> {
    const found = this.#find(downstream) ?? (await this.#findLater(downstream));
    if (found === undefined || this.#state === "stopped") this.#refuse(opening, downstream);
    else if (
      found.choice.kind === "sniff" ||
      found.matcher.inspectsTls(downstream.destination.port)
    )
      await this.#inspected(found.matcher, found.choice, opening, downstream);
    else await this.#decided(found.choice.chain, opening, downstream);
  }

  #find(downstream: DownstreamInfo): Found | undefined {
    const matcher = this.#deps.matcher();
    const { ip, port } = downstream.destination;
    const choice = matcher?.match({ ip, port, authority: downstream.connectAuthority });
    return matcher === undefined || choice === undefined || choice.kind === "none"
      ? undefined
      : { matcher, choice };
  }

  async #findLater(downstream: DownstreamInfo): Promise<Found | undefined> {
    const deadlineMs = this.#deps.clock.monotonicMs() + unknownDestinationMs;
    this.#undecided++;
    let found: Found | undefined;
    while (found === undefined && this.#state === "serving" && this.#waiting.size < maxWaiting) {
      const leftMs = deadlineMs - this.#deps.clock.monotonicMs();
      if (leftMs <= 0) break;
      await this.#change(leftMs);
      found = this.#find(downstream);
    }
    this.#undecided--;
    return found;
  }

  /** Settles when chains have changed, or after this time. */
  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#waiting.delete(settle);
        timer.cancel();
        resolve();
      };
      const timer = this.#deps.clock.after(timeoutMs, settle);
      this.#waiting.add(settle);
    });
  }

  #wake(): void {
    for (const settle of [...this.#waiting]) settle();
  }

  /** Looks at the first octets: they decide about the chain, or are to be known for it. */
  async #inspected(
    matcher: ChainMatcher,
    choice: Exclude<ChainChoice, { kind: "none" }>,
    opening: Opening,
    downstream: DownstreamInfo,
  ): Promise<void> {
    const plan = {
      http: choice.kind === "sniff",
      tls: matcher.inspectsTls(downstream.destination.port),
      ...matcher.inspection,
    };
    this.#undecided++;
    const sniffed = await sniffProtocol(opening, plan, this.#deps.clock);
    this.#undecided--;
    if (sniffed.kind === "closed") {
      this.#emptied();
      return;
    }
    const known =
      sniffed.tls === undefined
        ? downstream
        : { ...downstream, requestedServerName: sniffed.tls.serverName };
    const { http } = sniffed;
    const chain = chainAfter(choice, http);
    if (chain === undefined) this.#refuse(sniffed.opening, known);
    else if (chain.kind === "http" && http !== undefined)
      await this.#http(chain, http === "h2c" ? "http2" : "http1", sniffed.opening, known);
    else await this.#decided(chain, sniffed.opening, known);
  }

  /** Tells those that are open now to end; newcomers are served as ever. */
  announce(): void {
    for (const { served } of [...this.#open]) served.drain();
  }

  /** No new requests; connections end with what is under way on them. */
  drain(): void {
    if (this.#state !== "serving") return;
    this.#state = "draining";
    this.#wake();
    this.announce();
  }

  /** Settles when none is open. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  stop(details: string): void {
    this.#state = "stopped";
    this.#wake();
    for (const timer of this.#timers) timer.cancel();
    for (const { served } of [...this.#open]) served.abort(details);
  }

  /**
   * New chains are in force. Requests find their routes and filters anew each time, so HTTP connections go on as long as a
   * chain of their name exists. A TCP connection was judged once, by a chain that is no more: it gets some time to end.
   */
  chainsChanged(chains: ReadonlyMap<string, Chain>): void {
    this.#wake();
    const outdated = [...this.#open].filter(({ chain }) => {
      const now = chains.get(chain.name);
      return chain.kind === "http" ? now?.kind !== "http" : now !== chain;
    });
    if (outdated.length === 0) return;
    for (const { served } of outdated) served.drain();
    const timer = this.#deps.clock.after(drainChangedMs, () => {
      this.#timers.delete(timer);
      for (const { served } of outdated) served.abort("filter_chain_is_being_removed");
    });
    this.#timers.add(timer);
  }

  async #decided(chain: Chain, opening: Opening, downstream: DownstreamInfo): Promise<void> {
    if (chain.kind === "tcp") {
      await this.#track(chain, this.#deps.servers.tcp(chain, opening, downstream));
      return;
    }
    const { codec } = chain.http;
    if (codec !== "auto") {
      await this.#http(chain, codec, opening, downstream);
      return;
    }
    this.#undecided++;
    const sniffed = await sniffCodec(opening, this.#deps.clock);
    this.#undecided--;
    if (sniffed.kind === "closed") this.#emptied();
    else await this.#http(chain, sniffed.kind, sniffed.opening, downstream);
  }

  #http(
    chain: HttpChain,
    codec: "http1" | "http2",
    opening: Opening,
    downstream: DownstreamInfo,
  ): Promise<void> {
    return this.#track(chain, this.#deps.servers.http(chain, codec, opening, downstream));
  }

  async #track(chain: Chain, served: Served): Promise<void> {
    const entry = { chain, served };
    this.#open.add(entry);
    if (this.#state === "draining") served.drain();
    if (this.#state === "stopped") served.abort("stopped");
    await served.done;
    this.#open.delete(entry);
    this.#emptied();
  }

  /**
   * Envoy answers 200 as well and resets the stream with CONNECT_ERROR (seen with 1.40), though not before its inspectors have
   * octets to look at: a client that waits for the server to speak first would learn it only from a timeout.
   */
  #refuse({ port }: Opening, downstream: DownstreamInfo): void {
    this.#deps.servers.unmatched(downstream);
    port.abort();
    this.#emptied();
  }

  #emptied(): void {
    if (this.size > 0) return;
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }
}

/** Which chain the octets speak for. */
function chainAfter(
  choice: Exclude<ChainChoice, { kind: "none" }>,
  http: HttpVersion | undefined,
): Chain | undefined {
  if (choice.kind === "chain") return choice.chain;
  const isHttp = http !== undefined && (http !== "http/1.0" || choice.http10);
  return isHttp ? choice.http : choice.other;
}
