/** Composition of the control plane: sources → model → discovery server, beside the certificate authority. */
import { mkdirSync } from "node:fs";
import { type AdminServer, startAdminServer } from "../shared/admin/http-server.ts";
import { statsRoutes } from "../shared/admin/stats-routes.ts";
import type { Clock } from "../shared/base/clock.ts";
import { Readiness } from "../shared/base/readiness.ts";
import { isLoopback, parseIp } from "../shared/net/ip.ts";
import { openFileSource } from "../shared/objects/file/source.ts";
import { type Logger, Unquoted } from "../shared/telemetry/logger.ts";
import { Metrics } from "../shared/telemetry/metrics.ts";
import { openAuthority } from "./ca/authority.ts";
import { servingNames } from "./ca/serving-names.ts";
import { type ControlPlaneConfig, formatListenAddress } from "./config.ts";
import { debugRoutes } from "./debug/routes.ts";
import { type GrpcListener, listenGrpc } from "./grpc-server.ts";
import { MeshModel } from "./mesh-model.ts";
import { createControlPlaneMetrics } from "./metrics.ts";
import { DiscoveryServer } from "./push/discovery-server.ts";
import { AddressStore } from "./source/address-store.ts";
import { RedirectionSource } from "./source/redirection-source.ts";
import { statusReport } from "./status/report.ts";

export interface ControlPlaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RunningControlPlane {
  readonly ports: {
    readonly grpc: number;
    readonly secureGrpc: number;
    readonly http: number;
    readonly monitoring: number;
  };
  stop(): Promise<void>;
}

/** Resolves when every port listens and the first state is published. Rejects, leaving nothing open, when it cannot. */
export async function startControlPlane(
  deps: ControlPlaneDeps,
  config: ControlPlaneConfig,
): Promise<RunningControlPlane> {
  const cleanups: (() => void | Promise<void>)[] = [];
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
  cleanups: (() => void | Promise<void>)[],
): Promise<RunningControlPlane["ports"]> {
  const { clock, log } = deps;
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 });
  const metrics = new Metrics();
  const measured = createControlPlaneMetrics(metrics);
  const readiness = new Readiness();
  const listening = readiness.block("listeners");

  const objects = openFileSource({ clock, log: log.scope("source") }, config.configPath);
  cleanups.push(() => objects.close());
  const discovery = new DiscoveryServer({ clock, log: log.scope("ads"), metrics: measured.push });
  const addresses = new AddressStore(config.stateDir, log);
  let model: MeshModel | undefined;
  const redirections = await RedirectionSource.open(
    config.configPath,
    clock,
    log.scope("source"),
    () => model?.update(),
  );
  cleanups.push(() => redirections.close());
  model = new MeshModel(
    {
      clock,
      log: log.scope("model"),
      objects,
      redirected: () => redirections.redirected,
      addresses,
      publish: (snapshot, change) => discovery.publish(snapshot, change),
      stepTook: measured.stepTook,
    },
    config.mesh,
  );
  const current = model;
  measured.observe(objects, current);
  current.update();
  cleanups.push(objects.onChange(() => current.update()));

  const authority = openAuthority({ stateDir: config.stateDir, clock, log });
  const certificates = authority.service({
    trustDomain: config.mesh.trustDomain,
    identitiesOnNode: (node) => current.identitiesOnNode(node),
    count: measured.certificateAnswered,
  });
  const serving = authority.servingCertificate(servingNames(config.secureGrpc.host));
  const listen = async (...args: Parameters<typeof listenGrpc>): Promise<GrpcListener> => {
    const listener = await listenGrpc(...args);
    cleanups.push(() => listener.close());
    return listener;
  };
  const age = config.maxConnectionAgeMs;
  const grpc = await listen(
    config.grpc,
    undefined,
    [discovery.service(undefined), certificates],
    clock,
    age,
  );
  const secureGrpc = await listen(
    config.secureGrpc,
    serving,
    [discovery.service(authority.authenticate), certificates],
    clock,
    age,
  );
  cleanups.push(() => discovery.close());

  const serve = async (
    name: string,
    address: ControlPlaneConfig["http"],
    routes: Parameters<typeof startAdminServer>[0]["routes"],
  ): Promise<AdminServer> => {
    const server = await startAdminServer({
      name,
      hosts: [address.host],
      port: address.port,
      routes,
    });
    cleanups.push(() => server.close());
    return server;
  };
  const pages = {
    ...debugRoutes({
      objects,
      model: current,
      discovery,
      readiness,
      status: (node) =>
        statusReport(objects.snapshot, current.state, redirections.redirected, config.mesh, node),
    }),
    ...statsRoutes(metrics),
  };
  const http = await serve("debug", config.http, pages);
  const monitoring = await serve("monitoring", config.monitoring, pages);

  if (!isLocal(config.grpc.host))
    log.warn(
      "the plaintext port is open beyond this machine: whoever reaches it can read the whole mesh",
      {
        address: new Unquoted(formatListenAddress({ ...config.grpc, port: grpc.port })),
      },
    );
  authority.publishRoots();
  listening.release();
  const ports = {
    grpc: grpc.port,
    secureGrpc: secureGrpc.port,
    http: http.port,
    monitoring: monitoring.port,
  };
  log.info("control plane is ready", {
    grpc: new Unquoted(formatListenAddress({ ...config.grpc, port: ports.grpc })),
    secure_grpc: new Unquoted(
      formatListenAddress({ ...config.secureGrpc, port: ports.secureGrpc }),
    ),
    http: new Unquoted(formatListenAddress({ ...config.http, port: ports.http })),
    monitoring: new Unquoted(formatListenAddress({ ...config.monitoring, port: ports.monitoring })),
  });
  return ports;
}

function isLocal(host: string): boolean {
  const ip = parseIp(host);
  return ip === undefined ? host === "localhost" : isLoopback(ip);
}
