/** Composition of the control plane: sources → model → discovery server, beside the certificate authority. */
import { mkdirSync } from "node:fs";
import { type AdminServer, startAdminServer } from "../shared/admin/http-server.ts";
import { statsRoutes } from "../shared/admin/stats-routes.ts";
import type { Clock } from "../shared/base/clock.ts";
import { describeError } from "../shared/base/errors.ts";
import { Readiness } from "../shared/base/readiness.ts";
import { isLoopback, parseIp } from "../shared/net/ip.ts";
import { formatListenAddress, type ListenAddress } from "../shared/net/listen-address.ts";
import { openFileSource } from "../shared/objects/file/source.ts";
import type { ObjectSource } from "../shared/objects/source.ts";
import { Unquoted } from "../shared/telemetry/log-fields.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import { Metrics } from "../shared/telemetry/metrics.ts";
import { type ControlPlaneAuthority, openAuthority } from "./ca/authority.ts";
import { servingNames } from "./ca/serving-names.ts";
import type { ControlPlaneConfig } from "./config.ts";
import { debugRoutes } from "./debug/routes.ts";
import { listenGrpc } from "./grpc-server.ts";
import { fetchText } from "./keys/fetch-text.ts";
import { KeyStore } from "./keys/key-store.ts";
import { MeshModel } from "./mesh-model.ts";
import { type ControlPlaneMetrics, createControlPlaneMetrics } from "./metrics.ts";
import { DiscoveryServer } from "./push/discovery-server.ts";
import { WaypointViews } from "./push/waypoint-views.ts";
import { AddressStore } from "./source/address-store.ts";
import { RedirectionSource } from "./source/redirection-source.ts";
import { statusReport } from "./status/report.ts";

export interface ControlPlaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

interface Ports {
  readonly grpc: number;
  readonly secureGrpc: number;
  readonly http: number;
  readonly monitoring: number;
}

export interface RunningControlPlane {
  readonly ports: Ports;
  stop(): Promise<void>;
}

/** What is open, in the order of opening; closed in the opposite one. */
type Cleanups = (() => void | Promise<void>)[];

/** Resolves when every port listens and the first state is published. Rejects, leaving nothing open, when it cannot. */
export async function startControlPlane(
  deps: ControlPlaneDeps,
  config: ControlPlaneConfig,
): Promise<RunningControlPlane> {
  const cleanups: Cleanups = [];
  const stop = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const ports = await start(deps, config, cleanups);
    return { ports, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function start(
  deps: ControlPlaneDeps,
  config: ControlPlaneConfig,
  cleanups: Cleanups,
): Promise<Ports> {
  const { clock, log } = deps;
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 });
  const metrics = new Metrics();
  const measured = createControlPlaneMetrics(metrics);
  const readiness = new Readiness();
  const listening = readiness.block("listeners");
  // Nobody asks for a waypoint's view before the listeners are open, and then there is a state.
  const waypoints = new WaypointViews(() => mesh.model.sources, config.mesh.clusterDomain);
  const discovery = new DiscoveryServer({
    clock,
    log: log.scope("ads"),
    metrics: measured.push,
    waypoints,
  });
  const mesh: OpenMesh = await openMesh(deps, config, discovery, measured, cleanups);
  const authority = openAuthority({ stateDir: config.stateDir, clock, log });
  const grpcPorts = await openGrpc(
    deps,
    config,
    mesh.model,
    discovery,
    authority,
    measured,
    cleanups,
  );
  const pages = {
    ...debugRoutes({
      objects: mesh.objects,
      model: mesh.model,
      discovery,
      readiness,
      status: (node) =>
        statusReport(
          mesh.objects.snapshot,
          mesh.model.state,
          mesh.redirections.redirected,
          config.mesh,
          node,
        ),
    }),
    ...statsRoutes(metrics),
  };
  const serve = async (name: string, { host, port }: ListenAddress): Promise<AdminServer> => {
    const server = await startAdminServer({ name, hosts: [host], port, routes: pages });
    cleanups.push(() => server.close());
    return server;
  };
  const http = await serve("debug", config.http);
  const monitoring = await serve("monitoring", config.monitoring);
  // Clients take the file for the word that the authority answers.
  authority.publishRoots();
  listening.release();
  const ports = { ...grpcPorts, http: http.port, monitoring: monitoring.port };
  announce(log, config, ports);
  return ports;
}

interface OpenMesh {
  readonly objects: ObjectSource;
  readonly redirections: RedirectionSource;
  readonly model: MeshModel;
}

/** Sources, and the model that follows them. The first state must succeed; a later failure leaves the last one in force. */
async function openMesh(
  { clock, log }: ControlPlaneDeps,
  config: ControlPlaneConfig,
  discovery: DiscoveryServer,
  measured: ControlPlaneMetrics,
  cleanups: Cleanups,
): Promise<OpenMesh> {
  const sourceLog = log.scope("source");
  const objects = openFileSource({ clock, log: sourceLog }, config.configPath);
  cleanups.push(() => objects.close());
  const redirections = await RedirectionSource.open(config.configPath, clock, sourceLog);
  cleanups.push(() => redirections.close());
  const keys = new KeyStore({
    clock,
    log: log.scope("keys"),
    fetchText,
    changed: () => follow(),
  });
  cleanups.push(() => keys.close());
  const model = new MeshModel(
    {
      clock,
      log: log.scope("model"),
      keys,
      objects,
      redirected: () => redirections.redirected,
      addresses: new AddressStore(config.stateDir, log),
      publish: (snapshot, change) => discovery.publish(snapshot, change),
      stepTook: measured.stepTook,
    },
    config.mesh,
  );
  measured.observe(objects, model);
  model.update();
  const follow = (): void => {
    try {
      model.update();
    } catch (thrown) {
      log.error("cannot apply the change, the last state stays in force", {
        error: describeError(thrown),
      });
    }
  };
  cleanups.push(objects.onChange(follow), redirections.onChange(follow));
  return { objects, redirections, model };
}

async function openGrpc(
  { clock }: ControlPlaneDeps,
  config: ControlPlaneConfig,
  model: MeshModel,
  discovery: DiscoveryServer,
  authority: ControlPlaneAuthority,
  measured: ControlPlaneMetrics,
  cleanups: Cleanups,
): Promise<Pick<Ports, "grpc" | "secureGrpc">> {
  const certificates = authority.service({
    trustDomain: config.mesh.trustDomain,
    identitiesOnNode: (node) => model.identitiesOnNode(node),
    count: measured.certificateAnswered,
  });
  const age = config.maxConnectionAgeMs;
  const open = [discovery.service(undefined), certificates];
  const grpc = await listenGrpc(config.grpc, undefined, open, clock, age);
  cleanups.push(() => grpc.close());
  const serving = authority.servingCertificate(servingNames(config.secureGrpc.host));
  const guarded = [discovery.service(authority.authenticate), certificates];
  const secureGrpc = await listenGrpc(config.secureGrpc, serving, guarded, clock, age);
  cleanups.push(() => secureGrpc.close());
  // Before the listeners: a stream that is told goes, one that is not would be waited for.
  cleanups.push(() => discovery.close());
  return { grpc: grpc.port, secureGrpc: secureGrpc.port };
}

function announce(log: Logger, config: ControlPlaneConfig, ports: Ports): void {
  const at = (name: keyof Ports): Unquoted =>
    new Unquoted(formatListenAddress({ ...config[name], port: ports[name] }));
  if (!isLocal(config.grpc.host))
    log.warn(
      "the plaintext port is open beyond this machine: whoever reaches it can read the whole mesh",
      { address: at("grpc") },
    );
  log.info("control plane is ready", {
    grpc: at("grpc"),
    secure_grpc: at("secureGrpc"),
    http: at("http"),
    monitoring: at("monitoring"),
  });
}

function isLocal(host: string): boolean {
  const ip = parseIp(host);
  return ip === undefined ? host === "localhost" : isLoopback(ip);
}
