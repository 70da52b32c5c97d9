/**
 * The ztunnel process, wired in the order of wire/ztunnel.md section 10.2: operators' ports first (a conflict there stops the
 * start), then the control plane, and only with the mesh's state at hand the data path.
 */
import { type AdminServer, startAdminServer } from "../shared/admin/http-server.ts";
import { indexRoute, operatorRoutes } from "../shared/admin/operator-routes.ts";
import { readinessRoutes } from "../shared/admin/readiness-server.ts";
import { statsRoutes } from "../shared/admin/stats-routes.ts";
import type { Clock } from "../shared/base/clock.ts";
import { describeError } from "../shared/base/errors.ts";
import { Readiness } from "../shared/base/readiness.ts";
import type { MeshUpdate } from "../shared/model/mesh-update.ts";
import { MeshStore } from "../shared/model/store.ts";
import { collectGarbage } from "../shared/os/collect-garbage.ts";
import { keepSmall } from "../shared/os/keep-small.ts";
import { raiseFileLimit } from "../shared/os/limits.ts";
import { hostNetwork } from "../shared/os/pod-network.ts";
import { verifyPrivileges } from "../shared/os/privileges.ts";
import { createLogger, LogFilter, type Logger } from "../shared/telemetry/logger.ts";
import { Metrics } from "../shared/telemetry/metrics.ts";
import { openssl } from "../shared/tls/openssl.ts";
import type { XdsClient } from "../shared/xds/delta-client.ts";
import type { XdsSink } from "../shared/xds/types.ts";
import type { DumpSources } from "./admin/config-dump.ts";
import { ztunnelRoutes } from "./admin/routes.ts";
import type { ZtunnelConfig } from "./config.ts";
import { type Certificates, createCertificates, createXdsClient } from "./control-plane.ts";
import { WorkloadManager } from "./inpod/workload-manager.ts";
import { runZdsClient } from "./inpod/zds-client.ts";
import { loadLocalState, localStateView } from "./local-state.ts";
import { createNodeScope } from "./node-scope.ts";
import { PodProxies } from "./pod-factory.ts";
import { type DecisionSource, newestOf } from "./proxy/decisions.ts";
import type { RunningPodProxy } from "./proxy/pod-proxy.ts";
import type { NodeScope } from "./proxy/scope.ts";
import { prepareDataPath } from "./rehearsal/prepare.ts";
import { createDnsMetrics } from "./telemetry/dns-metrics.ts";
import { createZtunnelMetrics, type ZtunnelMetrics } from "./telemetry/metrics.ts";
import { TrafficReporter } from "./telemetry/report.ts";
import { createRuntimeMetrics } from "./telemetry/runtime-metrics.ts";
import { Crew } from "./threads/crew.ts";
import type { StartThread } from "./threads/port.ts";

export interface ZtunnelDeps {
  readonly config: ZtunnelConfig;
  readonly clock: Clock;
  readonly random: () => number;
  /** Takes finished log lines. */
  readonly writeLog: (line: string) => void;
  readonly version: string;
  /** Starts another thread of this program, for the data path. */
  readonly startThread: StartThread;
  /** Aborts: drain and end. */
  readonly shutdown: AbortSignal;
  /** Aborts: end at once. */
  readonly kill: AbortSignal;
}

/** Parts that do not depend on one another's start. */
interface Core {
  readonly deps: ZtunnelDeps;
  readonly filter: LogFilter;
  readonly logger: Logger;
  readonly registry: Metrics;
  readonly metrics: ZtunnelMetrics;
  readonly readiness: Readiness;
  readonly store: MeshStore;
  /** What the settings brought in. */
  readonly local: MeshUpdate;
  readonly xds: XdsClient | undefined;
  readonly certificates: Certificates;
  /** The other threads of the data path; undefined when this one is alone. */
  readonly crew: Crew | undefined;
  readonly node: NodeScope;
  readonly proxies: PodProxies;
  readonly manager: WorkloadManager | undefined;
}

function createCore(deps: ZtunnelDeps, local: MeshUpdate): Core {
  const { config, clock, random } = deps;
  const filter = new LogFilter(config.logFilter);
  const logger = createLogger(
    { clock, filter, format: config.logFormat, write: deps.writeLog },
    "app",
  );
  const registry = new Metrics();
  const metrics = createZtunnelMetrics(registry, config.istioVersion ?? "unknown");
  const readiness = new Readiness();
  const store = new MeshStore({ localNode: config.localNode });
  const threads = dataPathThreads(config, logger);
  const crew =
    threads === 1
      ? undefined
      : new Crew(
          {
            config,
            clock,
            startThread: deps.startThread,
            filter,
            writeLog: deps.writeLog,
            services: {
              certificate: (identity, priority) => certificates.secrets.fetch(identity, priority),
              demand: async (key) => xds?.demand(key),
            },
          },
          threads - 1,
        );
  const sink: XdsSink = {
    apply: (update) => {
      store.apply(update);
      crew?.apply(update);
    },
  };
  const control = { config, store, clock, logger, events: metrics.xds, random };
  const xds = createXdsClient(control, sink);
  const certificates = createCertificates({ ...control, metrics, watcher: crew });
  // After the certificates listen: identities of this node are announced by the store.
  sink.apply(local);
  const reporter = new TrafficReporter(metrics, logger.scope("access"), clock);
  registry.beforeRender(() => reporter.flush());
  createRuntimeMetrics(registry, reporter, threads);
  if (crew !== undefined) registry.beforeRender(() => crew.collectMetrics(registry));
  const node = createNodeScope({
    config,
    store,
    secrets: certificates.secrets,
    reporter,
    demand:
      xds !== undefined && config.xdsOnDemand
        ? (key, signal) => xds.demand(key, signal)
        : undefined,
    logger,
    clock,
    random,
  });
  const proxies = new PodProxies(node, createDnsMetrics(registry), crew);
  const manager =
    config.proxyMode === "shared"
      ? new WorkloadManager({
          factory: proxies,
          metrics: podMetrics(metrics),
          readiness,
          log: logger.scope("inpod"),
        })
      : undefined;
  return {
    deps,
    filter,
    logger,
    registry,
    metrics,
    readiness,
    store,
    local,
    xds,
    certificates,
    crew,
    node,
    proxies,
    manager,
  };
}

/** Several threads listen on the same ports of a pod, which takes SO_REUSEPORT. */
function dataPathThreads({ numWorkerThreads, inpodPortReuse }: ZtunnelConfig, logger: Logger) {
  if (inpodPortReuse || numWorkerThreads === 1) return numWorkerThreads;
  logger.warn("one thread moves the bytes: several cannot listen on a port of their own", {
    wanted: numWorkerThreads,
    INPOD_PORT_REUSE: false,
  });
  return 1;
}

function podMetrics({ pods }: ZtunnelMetrics) {
  return {
    activeProxies: (count: number) => {
      pods.active.value = count;
    },
    pendingProxies: (count: number) => {
      pods.pending.value = count;
    },
    proxyStarted: () => {
      pods.started.value++;
    },
    proxyStopped: () => {
      pods.stopped.value++;
    },
  };
}

/** Pods that run, and those whose proxy does not start yet. */
function dumpSources(core: Core): DumpSources {
  const { manager, proxies, certificates, store, deps } = core;
  return {
    config: deps.config,
    store,
    certificates: () => certificates.secrets.snapshot(),
    pods:
      manager &&
      (async () => [
        ...(await proxies.states()),
        ...[...manager.state.pending.values()].map(({ uid, info }) => ({
          uid,
          state: "Pending" as const,
          info,
          connections: [],
        })),
      ]),
    version: deps.version,
    staticConfig: localStateView(core.local),
  };
}

/** Of all threads. */
function decisionsOf({ node, crew }: Core): DecisionSource {
  if (crew === undefined) return node.decisions;
  return {
    latest: async (count) =>
      newestOf([...node.decisions.latest(count), ...(await crew.decisions(count))], count),
  };
}

/** All three or none. */
async function startAdmin(core: Core, quit: () => void): Promise<readonly AdminServer[]> {
  const { config, clock } = core.deps;
  const routes = {
    ...operatorRoutes({ filter: core.filter, defaultFilter: config.logFilter, clock, quit }),
    ...ztunnelRoutes(dumpSources(core), decisionsOf(core), core.node.resolveHostname),
  };
  const anyHost = config.ipv6Enabled ? ["::"] : ["0.0.0.0"];
  const servers: AdminServer[] = [];
  try {
    servers.push(
      await startAdminServer({
        name: "admin",
        hosts: config.ipv6Enabled ? ["127.0.0.1", "::1"] : ["127.0.0.1"],
        port: config.adminPort,
        routes: { ...indexRoute("ambit ztunnel", routes), ...routes },
      }),
      await startAdminServer({
        name: "readiness",
        hosts: anyHost,
        port: config.readinessPort,
        routes: readinessRoutes(core.readiness),
      }),
      await startAdminServer({
        name: "stats",
        hosts: anyHost,
        port: config.statsPort,
        routes: statsRoutes(core.registry),
      }),
    );
    return servers;
  } catch (thrown) {
    await Promise.all(servers.map((server) => server.close()));
    throw thrown;
  }
}

/** Proxies outside the workload manager. */
async function startOwnProxies(core: Core): Promise<readonly RunningPodProxy[]> {
  const { config, clock } = core.deps;
  const { name, namespace, serviceAccount } = config.pod;
  if (config.proxyMode === "dedicated") {
    const info = config.proxyWorkload;
    return info === undefined
      ? []
      : [await core.proxies.startIn(hostNetwork(clock), info, core.proxies.podKind)];
  }
  if (
    !config.proxy ||
    name === undefined ||
    namespace === undefined ||
    serviceAccount === undefined
  )
    return [];
  const info = { name, namespace, serviceAccount };
  return [await core.proxies.startIn(hostNetwork(clock), info, "self-inbound")];
}

/** Resolves when the signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Runs until told to stop, drains, and resolves; rejects when it cannot start or may not go on. */
export async function runZtunnel(deps: ZtunnelDeps): Promise<void> {
  const { config, clock } = deps;
  // Where it cannot be called, no connection could be served: better to end with the reason.
  openssl();
  const core = createCore(deps, await loadLocalState(config.localXds));
  const { logger, readiness, xds, crew } = core;
  raiseFileLimit();
  if (config.proxyMode === "shared" && config.packetMark !== undefined)
    verifyPrivileges(config.packetMark);
  const synced = readiness.block("state manager");
  const proxyStarted = readiness.block("proxy");
  const dnsStarted = config.dnsProxy ? readiness.block("dns proxy") : undefined;
  const quit = new AbortController();
  const stop = AbortSignal.any([deps.shutdown, deps.kill, quit.signal]);
  const admin = await startAdmin(core, () => quit.abort(new Error("quitquitquit")));
  logger.info("ztunnel starting", { version: deps.version, mode: config.proxyMode });
  const everything = new AbortController();
  const zds = new AbortController();
  const xdsRun = xds?.run(everything.signal);
  let own: readonly RunningPodProxy[] = [];
  try {
    const began = Promise.all([xds?.synced, crew?.up()]);
    await unlessLost(crew, Promise.race([began, aborted(stop)]));
    if (!stop.aborted) {
      // The start and the decoding of a large mesh leave as much garbage as state, and no connection is served yet.
      collectGarbage();
      crew?.settle();
      await prepareDataPath(deps, logger);
      synced.release();
      own = await startOwnProxies(core);
      proxyStarted.release();
      dnsStarted?.release();
      const stopReady = onReady(core);
      await unlessLost(crew, Promise.race([serveZds(core, zds.signal), aborted(stop)]));
      stopReady();
    }
    logger.info("shutting down", { deadline: `${config.selfTerminationDeadlineMs}ms` });
    await unlessLost(crew, drain(core, own, zds));
  } finally {
    zds.abort(new Error("shutting down"));
    everything.abort(new Error("shutting down"));
    for (const proxy of own) proxy.stop();
    await crew?.close();
    core.certificates.close();
    await xdsRun;
    await Promise.all(admin.map((server) => server.close()));
    await clock.sleep(0);
  }
}

/** The work's end, or the loss of a thread if that comes first. */
function unlessLost(crew: Crew | undefined, work: Promise<unknown>): Promise<unknown> {
  return crew === undefined ? work : Promise.race([work, crew.lost]);
}

/** What the rehearsal made hot has been compiled by then; the memory of the start is given back before there is much traffic. */
const AFTER_REHEARSAL_MS = 300;

/** Announces readiness each time; from the first time on the process is kept small. Returns the way to stop. */
function onReady({ readiness, logger, deps }: Core): () => void {
  let leaveBe: (() => void) | undefined;
  const announce = (): void => {
    logger.info("ready");
    const { clock, config } = deps;
    leaveBe ??= keepSmall(clock, logger, config.rehearsalMs > 0 ? AFTER_REHEARSAL_MS : undefined);
  };
  const stop = readiness.onReady(announce);
  if (readiness.ready) announce();
  return () => {
    stop();
    leaveBe?.();
  };
}

/** Serves the node agent; in dedicated mode there is none, and this never ends. */
async function serveZds(core: Core, signal: AbortSignal): Promise<void> {
  const { manager, logger, deps } = core;
  if (manager === undefined) return aborted(signal);
  const { config, clock, random } = deps;
  await runZdsClient(
    { manager, clock, log: logger.scope("inpod"), random },
    config.inpodUds,
    signal,
  );
}

/** Graceful to the deadline, forced after it or at a second request. */
async function drain(
  core: Core,
  own: readonly RunningPodProxy[],
  zds: AbortController,
): Promise<void> {
  const { deps, manager, logger } = core;
  const { selfTerminationDeadlineMs: deadlineMs } = deps.config;
  zds.abort(new Error("shutting down"));
  const drained = Promise.all([
    manager?.drain(deadlineMs),
    ...own.map((proxy) => proxy.drain(deadlineMs)),
  ]);
  try {
    await Promise.race([drained, aborted(deps.kill)]);
    logger.info("shutdown complete");
  } catch (thrown) {
    logger.warn("shutdown was not clean", { error: describeError(thrown) });
  }
}
