/**
 * A thread of the data path beside the main one: the same proxies over a copy of the mesh's state, with listeners, tunnels and
 * policy of its own. What it needs from outside the node (certificates, on-demand state) it asks the main thread for; what it
 * counts, logs and decides, the main thread shows.
 */
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { tlsSettings } from "../../shared/identity/tls-context.ts";
import { MeshStore } from "../../shared/model/store.ts";
import { collectGarbage } from "../../shared/os/collect-garbage.ts";
import { createLogger, LogFilter, type Logger } from "../../shared/telemetry/logger.ts";
import { Metrics } from "../../shared/telemetry/metrics.ts";
import { createNodeScope } from "../node-scope.ts";
import type { Demand } from "../proxy/on-demand.ts";
import type { NodeScope } from "../proxy/scope.ts";
import { prepareDataPath } from "../rehearsal/prepare.ts";
import { openRevocation } from "../revocation.ts";
import { createTrafficMetrics, type ZtunnelMetrics } from "../telemetry/metrics.ts";
import { TrafficReporter } from "../telemetry/report.ts";
import { createThreadMetrics } from "../telemetry/runtime-metrics.ts";
import { Calls, outcomeOf } from "./calls.ts";
import { unpackCertificate } from "./certificate-parcel.ts";
import { createLineRelay, type LineRelay } from "./log-relay.ts";
import type { FromThread, MainRequest, ThreadRequest, ToThread } from "./messages.ts";
import { ThreadPods } from "./pods.ts";
import type { ThreadPort, ThreadStart } from "./port.ts";
import { readMainAnswer, readToThread } from "./read-message.ts";
import { RemoteSecrets, until } from "./remote-secrets.ts";

export interface MemberDeps {
  readonly port: ThreadPort;
  readonly start: ThreadStart;
  readonly clock: Clock;
  readonly random: () => number;
  /** Ends this thread; the process ends too when there is an error. */
  readonly end: (error?: Error) => void;
}

interface Parts {
  readonly deps: MemberDeps;
  readonly lines: LineRelay;
  readonly filter: LogFilter;
  readonly logger: Logger;
  readonly registry: Metrics;
  readonly store: MeshStore;
  readonly secrets: RemoteSecrets;
  readonly calls: Calls<MainRequest>;
  readonly node: NodeScope;
  readonly pods: ThreadPods;
}

/** Serves until it is told to end. Returns what reports a defect that only one connection pays for. */
export function joinDataPath(deps: MemberDeps): { readonly logger: Logger } {
  const parts = createParts(deps);
  deps.port.onMessage((value) => {
    try {
      take(parts, readToThread(value));
    } catch (thrown) {
      // A message that was not taken in could be the policy that forbids something.
      parts.logger.error("data-path thread cannot go on", { error: describeError(thrown) });
      parts.lines.flush();
      deps.end(thrown instanceof Error ? thrown : new Error(describeError(thrown)));
    }
  });
  send(deps, { kind: "up" });
  return { logger: parts.logger };
}

function send({ port }: MemberDeps, message: FromThread): void {
  port.post(message);
}

function createParts(deps: MemberDeps): Parts {
  const { start, clock, random } = deps;
  const { config, thread } = start;
  const lines = createLineRelay(
    (text) => send(deps, { kind: "lines", text }),
    start.linesInFlight,
    clock,
  );
  const filter = new LogFilter(start.logDirectives);
  const logger = createLogger(
    { clock, filter, format: config.logFormat, write: lines.write },
    "app",
  );
  const registry = new Metrics();
  const metrics = createTrafficMetrics(registry);
  const reporter = new TrafficReporter(metrics, logger.scope("access"), clock);
  registry.beforeRender(() => reporter.flush());
  createThreadMetrics(registry, thread, reporter);
  const calls = new Calls<MainRequest>((call, request) =>
    send(deps, { kind: "call", call, request }),
  );
  const store = new MeshStore({ localNode: config.localNode });
  const secrets = createSecrets(deps, calls, logger, metrics);
  const demand = config.xdsOnDemand ? createDemand(calls) : undefined;
  const node = createNodeScope({
    config,
    store,
    secrets,
    reporter,
    demand,
    logger,
    clock,
    random,
  });
  const pods = new ThreadPods(node, {
    own: thread,
    totals: start.totals,
    handOver: (pod, to, accepted) => send(deps, { kind: "hand-over", pod, thread: to, accepted }),
  });
  return { deps, lines, filter, logger, registry, store, secrets, calls, node, pods };
}

function createSecrets(
  { start, clock }: MemberDeps,
  calls: Calls<MainRequest>,
  logger: Logger,
  metrics: Pick<ZtunnelMetrics, "crlRejections" | "crlUntracked">,
): RemoteSecrets {
  const { tls12, compliancePolicy, crlPath } = start.config;
  const settings = tlsSettings({ tls12, compliancePolicy });
  const log = logger.scope("identity");
  const revocation = openRevocation({ crlPath, clock, log, metrics });
  return new RemoteSecrets({
    clock,
    ask: async (identity, priority) =>
      readMainAnswer("certificate", await calls.ask({ kind: "certificate", identity, priority })),
    unpack: (parcel) => unpackCertificate(parcel, settings, revocation),
  });
}

/** The main thread posts what the control plane has said before it answers, so the state is here by then. */
function createDemand(calls: Calls<MainRequest>): Demand {
  return async (key, signal) => {
    readMainAnswer("demand", await until(calls.ask({ kind: "demand", key }), signal));
  };
}

function take(parts: Parts, message: ToThread): void {
  const { deps, store, secrets, filter, pods, calls } = parts;
  switch (message.kind) {
    case "update":
      store.apply(message.update);
      return;
    case "certificate":
      secrets.receive(message.certificate);
      return;
    case "certificate-gone":
      secrets.forget(message.identity);
      return;
    case "log-filter":
      filter.reset(message.directives);
      return;
    case "stop-pod":
      pods.stop(message.pod);
      return;
    case "take":
      pods.take(message.pod, message.accepted);
      return;
    case "settle":
      collectGarbage();
      void prepareDataPath({ ...deps, config: deps.start.config }, parts.logger);
      return;
    case "end":
      pods.stopAll();
      parts.lines.flush();
      deps.end();
      return;
    case "call": {
      const { call, request } = message;
      void outcomeOf(() => serve(parts, request)).then((outcome) =>
        send(deps, { kind: "answer", call, outcome }),
      );
      return;
    }
    case "answer":
      calls.settle(message.call, message.outcome);
      return;
  }
}

function serve({ pods, registry, node }: Parts, request: ThreadRequest): unknown {
  switch (request.kind) {
    case "start-pod":
      return pods.start(request);
    case "drain-pod":
      return pods.drain(request.pod, request.deadlineMs);
    case "serves":
      return pods.serves(request.pod, request.peer);
    case "metrics":
      return registry.snapshot();
    case "connections":
      return pods.connections();
    case "decisions":
      return node.decisions.latest(request.count);
  }
}
