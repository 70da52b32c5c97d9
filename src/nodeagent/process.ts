/** Wires a node agent to the machine: files, clock, programs, log, the monitoring port. */

import { type AdminServer, jsonAnswer, startAdminServer } from "../shared/admin/http-server.ts";
import { readinessRoutes } from "../shared/admin/readiness-server.ts";
import { statsRoutes } from "../shared/admin/stats-routes.ts";
import { systemClock } from "../shared/base/clock.ts";
import { describeError } from "../shared/base/errors.ts";
import { Readiness } from "../shared/base/readiness.ts";
import type { ListenAddress } from "../shared/net/listen-address.ts";
import { openFileSource } from "../shared/objects/file/source.ts";
import {
  redirectionStatusDir,
  removeRedirectionStatus,
  writeRedirectionStatus,
} from "../shared/status/redirection.ts";
import { createLineWriter } from "../shared/telemetry/line-writer.ts";
import { createLogger, type LogFilter, type Logger } from "../shared/telemetry/logger.ts";
import { Metrics } from "../shared/telemetry/metrics.ts";
import { NodeAgent } from "./app.ts";
import { NamespaceClaims } from "./pods/claims.ts";
import { findLeftovers } from "./pods/leftovers.ts";
import { commandRedirector, type Redirector } from "./redirect/apply.ts";
import { type HostProbes, hostProbes, noHostProbes } from "./redirect/host-probes.ts";
import { Slots } from "./redirect/slots.ts";

export interface NodeAgentSettings {
  /** File or folder of objects. */
  readonly config: string;
  readonly node: string;
  readonly zds: string;
  readonly dnsCapture: boolean;
  readonly releaseGraceMs: number;
  readonly releaseDrainMs: number;
  /** Let probes of the node pass into captured pods: those of one user, or of any program. */
  readonly probes: "off" | "any" | number;
  readonly monitoringAddr?: ListenAddress;
  readonly log: LogFilter;
  readonly logFormat: "plain" | "json";
}

/** Programs at once: enough to keep two cores busy, few enough to leave them usable. */
const PROGRAMS_AT_ONCE = 4;
const STDOUT = 1;

/** Runs until the signal aborts. Rejects when it cannot start. */
export async function runNodeAgent(
  settings: NodeAgentSettings,
  signal: AbortSignal,
): Promise<void> {
  await withLog(settings, async (log) => {
    const statusDir = await redirectionStatusDir(settings.config);
    const source = await openFileSource({ clock: systemClock, log }, settings.config);
    const redirector = newRedirector();
    try {
      const agent = await NodeAgent.start(
        {
          clock: systemClock,
          log,
          random: Math.random,
          source,
          redirector,
          probes: probesOf(settings.probes, redirector),
          writeStatus: (status) => writeRedirectionStatus(statusDir, status),
        },
        { ...settings, zdsPath: settings.zds, captureDns: settings.dnsCapture },
      );
      const monitoring = await monitor(settings.monitoringAddr, agent).catch((thrown: unknown) => {
        agent.stop();
        throw thrown;
      });
      log.info("node agent serves", {
        node: settings.node,
        zds: settings.zds,
        ...(monitoring && { monitoring: monitoring.port }),
      });
      await aborted(signal);
      log.info("node agent stops, pods stay captured", { reason: describeError(signal.reason) });
      agent.stop();
      await monitoring?.close();
    } finally {
      source.close();
    }
  });
}

/** Takes everything of ours out of the pods of the node: for the removal of the mesh from a machine. */
export async function cleanUpNode(settings: NodeAgentSettings): Promise<void> {
  await withLog(settings, async (log) => {
    const statusDir = await redirectionStatusDir(settings.config);
    const source = await openFileSource({ clock: systemClock, log }, settings.config);
    const redirector = newRedirector();
    try {
      const claims = new NamespaceClaims();
      const deps = { log, redirector };
      const leftovers = await findLeftovers(deps, claims, source.snapshot, settings.node);
      await removeRedirectionStatus(statusDir, settings.node);
      await redirector.removeHost();
      for (const [uid, { namespace }] of leftovers) {
        await redirector.remove(namespace);
        claims.release(uid, namespace);
        log.info("pod released", { uid });
      }
    } finally {
      source.close();
    }
  });
}

function newRedirector(): Redirector {
  return commandRedirector({ clock: systemClock, slots: new Slots(PROGRAMS_AT_ONCE) });
}

function probesOf(setting: NodeAgentSettings["probes"], redirector: Redirector): HostProbes {
  if (setting === "off") return noHostProbes;
  const proberUid = setting === "any" ? undefined : setting;
  return hostProbes((pods) => redirector.applyHost({ pods, proberUid }));
}

async function withLog(
  settings: NodeAgentSettings,
  work: (log: Logger) => Promise<void>,
): Promise<void> {
  const lines = createLineWriter(STDOUT, systemClock);
  const options = {
    clock: systemClock,
    filter: settings.log,
    format: settings.logFormat,
    write: (line: string) => lines.write(line),
  };
  try {
    await work(createLogger(options, "nodeagent"));
  } finally {
    lines.flush();
  }
}

async function monitor(
  address: ListenAddress | undefined,
  agent: NodeAgent,
): Promise<AdminServer | undefined> {
  if (address === undefined) return undefined;
  const metrics = new Metrics();
  const pods = metrics.gauge({
    name: "nodeagent_pods",
    help: "Pods of the node by what they ought to be and how far they are",
    labelNames: ["verdict", "rung"],
  });
  const failing = metrics.gauge({
    name: "nodeagent_failing_pods",
    help: "Pods whose last step failed or that cannot be enrolled",
  });
  const ztunnels = metrics.gauge({ name: "nodeagent_ztunnels", help: "Connected ztunnels" });
  metrics.beforeRender(() => {
    pods.reset();
    failing.series().value = 0;
    ztunnels.series().value = agent.ztunnelCount;
    for (const report of agent.report()) {
      pods.series(report.verdict, report.rung).value++;
      if (report.verdict !== "out" && report.reason !== undefined) failing.series().value++;
    }
  });
  return startAdminServer({
    name: "monitoring",
    hosts: [address.host],
    port: address.port,
    routes: {
      ...statsRoutes(metrics),
      ...readinessRoutes(new Readiness()),
      "/debug/pods": () => jsonAnswer(agent.report()),
    },
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
