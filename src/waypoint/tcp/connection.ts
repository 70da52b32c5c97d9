/**
 * A connection on a TCP chain: network filters, then a cluster and an endpoint, then octets both ways until both sides have
 * ended, the idle timeout or the longest duration. Nothing goes upstream before the filters have agreed (Envoy dials first
 * and asks at the first octet; a refusal is the same to the client).
 */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { MeshError } from "../../shared/base/errors.ts";
import type { Port } from "../../shared/hbone/flow/port.ts";
import { joinPorts, portOf } from "../../shared/hbone/flow.ts";
import type { Flow, FlowEnd } from "../../shared/hbone/tunnel.ts";
import type { ResponseFlag } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { Opening } from "../http/transport.ts";
import type { TcpChain } from "../model/chain.ts";
import type { PeerWorkload, StreamRecord, UpstreamRecord } from "../telemetry/record.ts";
import type { RecordSource, RequestTelemetry } from "../telemetry/request-telemetry.ts";
import { type Cluster, type Clusters, type Endpoint, UpstreamError } from "../upstream/upstream.ts";
import { chooseCluster, connectionHash } from "./choose.ts";
import { TcpContext } from "./context.ts";
import { Lobby } from "./lobby.ts";

export interface TcpDeps {
  readonly clusters: Clusters;
  readonly telemetry: RequestTelemetry;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  /** The client as the mesh knows it. */
  readonly sourcePeer: (downstream: DownstreamInfo) => PeerWorkload | undefined;
  /** The hash of the balancers' rings, for hash policies. */
  readonly hash: (text: string) => bigint;
}

export interface TcpConnection {
  /** Settles when nothing flows any more and the record is written; never rejects. */
  readonly done: Promise<void>;
  /** Cuts it: shutdown past the deadline, a chain that was removed. */
  abort(details: string): void;
}

export function runTcp(
  deps: TcpDeps,
  chain: TcpChain,
  opening: Opening,
  downstream: DownstreamInfo,
): TcpConnection {
  const connection = new Connection(deps, chain, opening, downstream);
  connection.start();
  return connection;
}

type State = "deciding" | "connecting" | "flowing" | "over";

class Connection implements TcpConnection, RecordSource {
  readonly done: Promise<void>;
  readonly #deps: TcpDeps;
  readonly #chain: TcpChain;
  readonly #downstream: DownstreamInfo;
  readonly #context: TcpContext;
  readonly #lobby: Lobby;
  readonly #flags: ResponseFlag[] = [];
  readonly #startWallMs: number;
  readonly #startMs: number;
  #state: State = "deciding";
  #settle: (() => void) | undefined;
  #terminationDetails: string | undefined;
  #cluster: Cluster | undefined;
  #endpoint: Endpoint | undefined;
  #localAddress: string | undefined;
  #failureReason: string | undefined;
  #flow: Flow | undefined;
  #idle: Timer | undefined;
  #longest: Timer | undefined;

  constructor(deps: TcpDeps, chain: TcpChain, opening: Opening, downstream: DownstreamInfo) {
    this.#deps = deps;
    this.#chain = chain;
    this.#downstream = downstream;
    this.#context = new TcpContext(downstream, deps.clock, deps.random);
    this.#lobby = new Lobby(opening, () => this.#clientGone());
    this.#startWallMs = deps.clock.wallMs();
    this.#startMs = deps.clock.monotonicMs();
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  start(): void {
    this.#deps.telemetry.watch(this.#chain, this);
    const { maxConnectionDurationMs } = this.#chain;
    if (maxConnectionDurationMs > 0)
      this.#longest = this.#deps.clock.after(maxConnectionDurationMs, () => this.#tooLong());
    this.#lobby.enter();
    this.#run().catch((thrown: unknown) => this.#brokeDown(thrown));
  }

  abort(details: string): void {
    this.#terminationDetails ??= details;
    this.#cut(details);
  }

  record(): StreamRecord {
    const received = this.#flow?.sent ?? 0;
    const sent = this.#flow?.received ?? 0;
    return {
      kind: "tcp",
      chain: this.#chain.name,
      downstream: this.#downstream,
      source: this.#deps.sourcePeer(this.#downstream),
      startWallMs: this.#startWallMs,
      durationMs: this.#deps.clock.monotonicMs() - this.#startMs,
      bytesReceived: received,
      bytesSent: sent,
      wireBytesReceived: received,
      wireBytesSent: sent,
      flags: this.#flags,
      details: undefined,
      connectionTerminationDetails: this.#terminationDetails,
      routeName: undefined,
      upstream: this.#upstreamRecord(),
      metadata: this.#context.metadata,
      decisions: this.#context.decisions,
      http: undefined,
    };
  }

  async #run(): Promise<void> {
    for (const filter of this.#chain.filters) {
      const answer = filter.onConnection(this.#context);
      // Most filters know at once, and a promise costs a turn.
      const verdict = answer instanceof Promise ? await answer : answer;
      if (this.#state !== "deciding") return;
      if (verdict.kind === "continue") continue;
      this.#terminationDetails = verdict.details;
      this.#refuse(verdict.flags);
      return;
    }
    await this.#connect();
  }

  async #connect(): Promise<void> {
    const name = chooseCluster(this.#chain.clusters, this.#deps.random());
    const cluster = name === undefined ? undefined : this.#deps.clusters.get(name);
    if (cluster === undefined) {
      this.#note("no-cluster", `cluster "${name ?? ""}" does not exist`);
      this.#refuse(["NC"]);
      return;
    }
    this.#cluster = cluster;
    const facts = {
      hash: connectionHash(this.#chain.hashPolicy, this.#downstream.source.ip, this.#deps.hash),
      downstream: this.#downstream,
      downstreamProtocol: undefined,
      tried: [],
      hostSelectionAttempts: 1,
      authority: this.#downstream.connectAuthority,
    };
    const picked = cluster.pick(facts);
    if (picked.kind === "none") {
      this.#note("no-endpoint", picked.details);
      this.#refuse([picked.flag]);
      return;
    }
    this.#endpoint = picked.endpoint;
    this.#state = "connecting";
    try {
      const upstream = await cluster.connect(picked.endpoint, facts, this.#context.over);
      if (this.#isOver()) {
        const unwanted = portOf(upstream.stream);
        new Lobby({ port: unwanted, readBefore: undefined }, () => undefined).enter();
        closePort(unwanted);
        return;
      }
      this.#localAddress = upstream.localAddress;
      cluster.report(picked.endpoint, { kind: "status", status: 200, grpcStatus: undefined });
      this.#join(joinPorts(this.#lobby.port, portOf(upstream.stream), this.#lobby));
    } catch (thrown) {
      if (!this.#isOver()) this.#connectFailed(cluster, picked.endpoint, thrown);
    }
  }

  #connectFailed(cluster: Cluster, endpoint: Endpoint, thrown: unknown): void {
    if (!(thrown instanceof UpstreamError)) throw thrown;
    const { kind, reason } = thrown.failure;
    this.#failureReason = reason;
    this.#note("connect-failed", reason);
    if (kind === "overflow") {
      this.#refuse(["UO"]);
      return;
    }
    cluster.report(endpoint, { kind: "local-origin-failure" });
    // Envoy tries once; that this was the last attempt is said as well.
    this.#refuse(["UF", "URX"]);
  }

  #join(flow: Flow): void {
    this.#flow = flow;
    this.#state = "flowing";
    this.#watchIdle(flow, 0, 0);
    flow.done.then(
      (end) => this.#flowEnded(end),
      (thrown: unknown) => this.#brokeDown(thrown),
    );
  }

  /** Looks at the counters now and then instead of touching a timer for every piece: late by a quarter at most. */
  #watchIdle(flow: Flow, bytes: number, quietMs: number): void {
    const { idleTimeoutMs } = this.#chain;
    if (idleTimeoutMs <= 0) return;
    const stepMs = idleTimeoutMs / 4;
    this.#idle = this.#deps.clock.after(stepMs, () => {
      const now = flow.sent + flow.received;
      const quiet = now === bytes ? quietMs + stepMs : 0;
      if (quiet < idleTimeoutMs) this.#watchIdle(flow, now, quiet);
      else this.abort("tcp_session_idle_timeout");
    });
  }

  #tooLong(): void {
    this.#flags.push("DT");
    this.abort("max_connection_duration_reached");
  }

  #flowEnded(end: FlowEnd): void {
    if (end.error !== undefined) this.#note("broke", end.error.message);
    this.#over();
  }

  #clientGone(): void {
    if (this.#state === "flowing" || this.#state === "over") return;
    this.#note("client-gone", "the client closed the connection before it was connected");
    this.#over();
  }

  /** A filter or cluster threw: a mistake of ours. The connection does not pass (a policy that fails closes). */
  #brokeDown(thrown: unknown): void {
    this.#note("internal-error", thrown instanceof Error ? thrown.message : String(thrown));
    this.#cut("internal_error");
  }

  #cut(details: string): void {
    if (this.#state === "flowing") this.#flow?.abort(new MeshError("drained", details));
    else this.#refuse([]);
  }

  #refuse(flags: readonly ResponseFlag[]): void {
    if (this.#isOver()) return;
    this.#flags.push(...flags);
    this.#over();
    // As Envoy's client sees it: the stream of the CONNECT is reset (CONNECT_ERROR). An orderly end would look like an answer.
    this.#lobby.port.abort();
  }

  #over(): void {
    if (this.#isOver()) return;
    this.#state = "over";
    this.#idle?.cancel();
    this.#longest?.cancel();
    this.#context.end();
    this.#deps.telemetry.finish(this.#chain, this.record(), undefined, this);
    this.#settle?.();
  }

  #isOver(): boolean {
    return this.#state === "over";
  }

  #note(outcome: string, reason: string): void {
    this.#context.note({ filter: "envoy.filters.network.tcp_proxy", outcome, reason });
  }

  #upstreamRecord(): UpstreamRecord | undefined {
    const cluster = this.#cluster;
    if (cluster === undefined) return undefined;
    const endpoint = this.#endpoint;
    return {
      cluster: cluster.name,
      statName: cluster.statName,
      service: cluster.service,
      address: endpoint?.address,
      hostText: endpoint?.hostText,
      localAddress: this.#localAddress,
      peer: endpoint?.peer,
      failureReason: this.#failureReason,
      attempts: endpoint === undefined ? 0 : 1,
      serviceTimeMs: undefined,
    };
  }
}

/** An orderly end: nobody wants what was connected. */
function closePort(port: Port): void {
  port.finish();
  port.settle();
}
