/**
 * The waypoint process: operators' ports first (a conflict there stops the start), then the control plane and the certificate,
 * and only with both at hand the way in. Configuration comes and goes while it runs; what serves is one value that is swapped.
 */
import type { AdminServer } from "../shared/admin/http-server.ts";
import type { Clock } from "../shared/base/clock.ts";
import { describeError, MeshError } from "../shared/base/errors.ts";
import { Readiness, type ReadinessBlock } from "../shared/base/readiness.ts";
import { collectGarbage } from "../shared/os/collect-garbage.ts";
import { keepSmall } from "../shared/os/keep-small.ts";
import { raiseFileLimit } from "../shared/os/limits.ts";
import { hostNetwork } from "../shared/os/pod-network.ts";
import { createLogger, LogFilter, type Logger } from "../shared/telemetry/logger.ts";
import { DeltaConnection } from "../shared/xds/delta-connection.ts";
import { openDeltaStream } from "../shared/xds/delta-stream.ts";
import { startAdminPorts } from "./admin/ports.ts";
import { Lifecycle } from "./admin/server-state.ts";
import type { WaypointConfig } from "./config.ts";
import { createEngine, type Engine } from "./engine.ts";
import type { ClusterConfig } from "./model/cluster.ts";
import type { Assignment } from "./model/endpoints.ts";
import { type OwnCertificate, ownCertificate } from "./secrets/own-certificate.ts";
import { SecretBook } from "./secrets/secret-book.ts";
import { Connections } from "./terminate/connections.ts";
import { Listeners } from "./terminate/listeners.ts";
import { Sandwich } from "./terminate/sandwich.ts";
import { Sessions } from "./terminate/sessions.ts";
import { refusedTunnelRecord } from "./terminate/unmatched.ts";
import { PeerDemand } from "./workloads/demand.ts";
import { WorkloadTable } from "./workloads/index.ts";
import { sourcePeers } from "./workloads/source-peer.ts";
import { Catalog } from "./xds/catalog.ts";
import { XdsCounters } from "./xds/counters.ts";
import { WaypointProtocol } from "./xds/protocol.ts";
import { StateHolder } from "./xds/state.ts";

export interface WaypointDeps {
  readonly config: WaypointConfig;
  readonly clock: Clock;
  readonly random: () => number;
  /** Takes finished log lines. */
  readonly writeLog: (line: string) => void;
  /** Of the environment; access logs and tags may print them. */
  readonly variable: (name: string) => string | undefined;
  readonly version: string;
  /** Aborts: drain and end. */
  readonly shutdown: AbortSignal;
  /** Aborts: end at once. */
  readonly kill: AbortSignal;
  /** Told where it listens for tunnels, each time that changes. */
  readonly onListening?: (ports: readonly number[]) => void;
}

/** Everything between the operators' ports and the sockets. */
interface Core {
  readonly deps: WaypointDeps;
  readonly filter: LogFilter;
  readonly logger: Logger;
  readonly readiness: Readiness;
  readonly lifecycle: Lifecycle;
  readonly certificate: OwnCertificate;
  readonly state: StateHolder;
  readonly engine: Engine;
  readonly catalog: Catalog<ClusterConfig, Assignment>;
  readonly protocol: WaypointProtocol;
  readonly counters: XdsCounters;
  readonly xds: DeltaConnection;
  readonly workloads: WorkloadTable;
  readonly connections: Connections;
  readonly sessions: Sessions;
  readonly listeners: Listeners;
  readonly sandwich: Sandwich;
}

function createCore(deps: WaypointDeps): Core {
  const { config, clock, random } = deps;
  const filter = new LogFilter(config.logFilter);
  const logger = createLogger(
    { clock, filter, format: config.logFormat, write: deps.writeLog },
    "app",
  );
  const readiness = new Readiness();
  const lifecycle = new Lifecycle(readiness);
  const certificate = ownCertificate(config, clock, logger.scope("identity"), random);
  const workloads = new WorkloadTable(config.network);
  const secretBook = new SecretBook();
  const state = new StateHolder({ get: () => undefined });
  const network = hostNetwork(clock);
  const demand = new PeerDemand(
    clock,
    (ip) => `${config.network}/${ip}`,
    (key) => {
      const request = protocol.demand(key);
      if (request !== undefined) xds.send(request);
    },
  );
  const engine = createEngine({
    config,
    clock,
    random,
    logger,
    version: deps.version,
    variable: deps.variable,
    secrets: certificate.secrets,
    secretBook,
    network,
    state,
    workloads: config.xdsOnDemand ? demand.index(workloads) : workloads,
    sourcePeer: sourcePeers(workloads, config.network),
  });
  const catalog = new Catalog<ClusterConfig, Assignment>({
    compilers: engine.compilers,
    live: engine.live,
    state,
    clock,
    log: logger.scope("xds"),
    warmingDeadlineMs: config.warmingDeadlineMs,
  });
  const counters = new XdsCounters();
  const protocol = new WaypointProtocol({
    node: config.node,
    resources: catalog,
    workloads,
    secrets: secretBook,
    onDemand: config.xdsOnDemand,
    log: logger.scope("xds"),
    accepted: (typeUrl) => counters.accepted(typeUrl),
    rejected: (typeUrl) => counters.rejected(typeUrl),
    answered: (keys) => demand.answered(keys),
  });
  const xds = new DeltaConnection(
    {
      open: (handlers) => openDeltaStream(config.xds, clock, handlers),
      clock,
      logger: logger.scope("xds"),
    },
    protocol,
  );
  const connections = new Connections({
    matcher: () => state.current.main?.matcher,
    servers: engine.servers,
    clock,
  });
  const sessions = new Sessions({
    identity: config.identity,
    secrets: certificate.secrets,
    network,
    connections,
    windows: config.windows,
    plan: () => state.current.terminate,
    learnPeer: config.xdsOnDemand ? (ip) => demand.learn(ip) : () => undefined,
    log: logger.scope("inbound"),
    clock,
    refused: (facts, tunnel, status) => {
      const record = refusedTunnelRecord(facts, tunnel, status, clock.wallMs());
      for (const log of state.current.terminate?.accessLogs ?? []) log.write(record);
    },
  });
  const listeners = new Listeners({
    log: logger.scope("inbound"),
    listen: (options) => network.acceptTcp(options, (connection) => sessions.handle(connection)),
  });
  const { identity } = config;
  const log = logger.scope("inbound");
  const sandwich = new Sandwich({ network, connections, identity, clock, log });
  return {
    deps,
    filter,
    logger,
    readiness,
    lifecycle,
    certificate,
    state,
    engine,
    catalog,
    protocol,
    counters,
    xds,
    workloads,
    connections,
    sessions,
    listeners,
    sandwich,
  };
}

/** Follows the configuration: sockets where it says, connections of chains that are gone told to end. */
function followState(core: Core, listening: ReadinessBlock): () => void {
  const { state, listeners, connections, logger, deps } = core;
  return state.subscribe((now, before) => {
    if (now.main !== before.main) connections.chainsChanged(now.main?.chains ?? new Map());
    if (now.terminate === before.terminate) return;
    listeners.apply(now.terminate?.addresses ?? []).then(
      () => {
        if (now.terminate !== undefined) listening.release();
        deps.onListening?.(listeners.ports);
      },
      (thrown: unknown) => logger.error("cannot listen", { error: describeError(thrown) }),
    );
  });
}

/** Resolves when the signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Runs until told to stop, drains, and resolves; rejects when it cannot start. */
export async function runWaypoint(deps: WaypointDeps): Promise<void> {
  const { config, clock } = deps;
  raiseFileLimit();
  const core = createCore(deps);
  const { logger, readiness, certificate } = core;
  const configured = readiness.block("configuration");
  const certified = readiness.block("certificate");
  const listening = readiness.block("listener");
  const quit = new AbortController();
  const stop = AbortSignal.any([deps.shutdown, deps.kill, quit.signal]);
  const admin = await startAdminPorts({ ...core, config, clock, version: deps.version }, () =>
    quit.abort(new Error("quitquitquit")),
  ).catch((thrown: unknown) => {
    certificate.close();
    throw thrown;
  });
  const everything = new AbortController();
  const unfollow = followState(core, listening);
  logger.info("waypoint starting", { version: deps.version, node: config.node.id });
  const xdsRun = core.xds.run(everything.signal);
  try {
    if (config.sandwichPort !== undefined)
      await core.sandwich.listen(config.sandwichPort, config.ipv6Enabled);
    certificateArrives(core, everything.signal, certified);
    void core.protocol.synced.then(() => {
      // The start and the decoding of a large mesh leave as much garbage as state.
      collectGarbage();
      configured.release();
    });
    const stopReady = onReady(core);
    await aborted(stop);
    stopReady();
    logger.info("shutting down", { deadline: `${config.drain.deadlineMs}ms` });
    await drain(core);
  } finally {
    unfollow();
    everything.abort(new Error("shutting down"));
    await end(core, admin);
    await xdsRun;
  }
}

/** Announces readiness each time; from the first time on the process is kept small. Returns the way to stop. */
function onReady({ readiness, logger, deps }: Core): () => void {
  let leaveBe: (() => void) | undefined;
  const stop = readiness.onReady(() => {
    logger.info("ready");
    leaveBe ??= keepSmall(deps.clock, logger);
  });
  return () => {
    stop();
    leaveBe?.();
  };
}

/** Asks until there is one; the secret manager itself waits between its attempts. */
function certificateArrives(core: Core, signal: AbortSignal, certified: ReadinessBlock): void {
  const { certificate, deps } = core;
  const attempt = (): void => {
    certificate.secrets.fetch(deps.config.identity, "real-time", signal).then(
      () => certified.release(),
      () => {
        if (!signal.aborted) deps.clock.after(500, attempt);
      },
    );
  };
  attempt();
}

/**
 * First clients are told to open no more here while newcomers, who have not heard yet, are still served; then the door closes
 * and what is open may end until the deadline.
 */
async function drain(core: Core): Promise<void> {
  const { deps, sessions, connections, listeners, sandwich, lifecycle, logger } = core;
  const { acceptMs, deadlineMs } = deps.config.drain;
  lifecycle.drain();
  const over = new AbortController();
  const graceful = async (): Promise<void> => {
    sessions.announce();
    connections.announce();
    await deps.clock.sleep(acceptMs, over.signal);
    await Promise.all([listeners.close(), sandwich.close()]);
    connections.drain();
    await Promise.all([sessions.drain(), connections.empty()]);
    logger.info("shutdown complete");
  };
  await Promise.race([
    graceful().catch(() => undefined),
    deps.clock.sleep(deadlineMs, over.signal).catch(() => undefined),
    aborted(deps.kill),
  ]);
  over.abort(new Error("drained"));
}

async function end(core: Core, admin: readonly AdminServer[]): Promise<void> {
  const error = new MeshError("drained", "the waypoint has ended");
  await core.listeners.close();
  await core.sandwich.close();
  core.connections.stop("drained");
  core.sessions.destroy(error);
  core.catalog.close();
  await core.engine.close();
  core.certificate.close();
  await Promise.all(admin.map((server) => server.close()));
  await core.deps.clock.sleep(0);
}
