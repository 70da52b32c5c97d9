/**
 * A plain Envoy as a waypoint, driven by the resources that drive ours, after taking away what only the reference's build of it
 * has: the filters that look up peers and count, and the name of a factory. Key material is put in place of the agent's socket,
 * and endpoints in place of the control plane's stream, since Envoy reads all of it from one file here.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { WorkloadCertificate } from "../../../../src/shared/identity/workload-certificate.ts";
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../../../../src/shared/wire/gen/envoy/config/core/v3/base_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../../src/shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import {
  type Listener,
  ListenerSchema,
} from "../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { ConfigSchema as HttpStateSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { ConfigSchema as NetworkStateSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js";
import { InternalUpstreamTransportSchema } from "../../../../src/shared/wire/gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js";
import {
  type CommonTlsContext,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../../src/shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { clusterType, endpointsType, listenerType } from "../../../../src/waypoint/xds/types.ts";
import { envoyBinary } from "../../envoy.ts";
import { waypointIp } from "../stage.ts";
import { type CaseResources, eachConnectionManager, repack } from "./resources.ts";

/** Of the reference's build only. */
export const onlyReference: ReadonlySet<string> = new Set([
  "waypoint_downstream_peer_metadata",
  "waypoint_upstream_peer_metadata",
  "istio.metadata_exchange",
  "istio.stats",
]);

interface WithFactory {
  factoryKey: string;
}

function renameFactory(values: readonly WithFactory[]): void {
  for (const value of values)
    if (value.factoryKey === "istio.hashable_string") value.factoryKey = "envoy.hashable_string";
}

/** Names stay; where they come from is the bootstrap's. */
function withoutSecretService(context: CommonTlsContext | undefined): void {
  if (context === undefined) return;
  for (const secret of context.tlsCertificateSdsSecretConfigs) delete secret.sdsConfig;
  if (context.validationContextType.case === "combinedValidationContext")
    delete context.validationContextType.value.validationContextSdsSecretConfig?.sdsConfig;
}

function plainTransport(socket: TransportSocket | undefined): void {
  if (socket?.configType.case !== "typedConfig") return;
  const any = socket.configType.value;
  repack(any, UpstreamTlsContextSchema, (tls) => withoutSecretService(tls.commonTlsContext));
  repack(any, DownstreamTlsContextSchema, (tls) => withoutSecretService(tls.commonTlsContext));
  repack(any, InternalUpstreamTransportSchema, (tunnel) => plainTransport(tunnel.transportSocket));
}

function plainListener(listener: Listener): void {
  for (const chain of listener.filterChains) {
    plainTransport(chain.transportSocket);
    chain.filters = chain.filters.filter(({ name }) => !onlyReference.has(name));
    for (const { configType } of chain.filters)
      if (configType.case === "typedConfig")
        repack(configType.value, NetworkStateSchema, (state) =>
          renameFactory(state.onNewConnection),
        );
  }
  eachConnectionManager(listener, (manager) => {
    manager.httpFilters = manager.httpFilters.filter(({ name }) => !onlyReference.has(name));
    for (const { configType } of manager.httpFilters)
      if (configType.case === "typedConfig")
        repack(configType.value, HttpStateSchema, (state) => renameFactory(state.onRequestHeaders));
  });
}

function plainCluster(cluster: Cluster, endpoints: Uint8Array | undefined): void {
  plainTransport(cluster.transportSocket);
  if (cluster.clusterDiscoveryType.value !== Cluster_DiscoveryType.EDS) return;
  cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType.STATIC };
  delete cluster.edsClusterConfig;
  cluster.loadAssignment =
    endpoints === undefined
      ? create(ClusterLoadAssignmentSchema, { clusterName: cluster.name })
      : fromBinary(ClusterLoadAssignmentSchema, endpoints);
}

/** Listeners and clusters as the `static_resources` (field 2) of a bootstrap. */
function staticResources(resources: CaseResources): Uint8Array {
  const held = (type: string) => resources.get(type) ?? new Map<string, never>();
  const endpoints = held(endpointsType);
  const writer = new BinaryWriter().tag(2, WireType.LengthDelimited).fork();
  for (const { resource } of held(listenerType).values()) {
    const listener = fromBinary(ListenerSchema, resource?.value ?? new Uint8Array());
    plainListener(listener);
    writer.tag(1, WireType.LengthDelimited).bytes(toBinary(ListenerSchema, listener));
  }
  for (const { resource } of held(clusterType).values()) {
    const cluster = fromBinary(ClusterSchema, resource?.value ?? new Uint8Array());
    const { edsClusterConfig, name } = cluster;
    plainCluster(cluster, endpoints.get(edsClusterConfig?.serviceName || name)?.resource?.value);
    writer.tag(2, WireType.LengthDelimited).bytes(toBinary(ClusterSchema, cluster));
  }
  return writer.join().finish();
}

type KeyedCertificate = WorkloadCertificate & { readonly keyPem: string };

/** What the pod's agent would write: the rest of the bootstrap. */
function bootstrap({ leaf, intermediates, roots, keyPem }: KeyedCertificate): string {
  const chain = [leaf, ...intermediates].map(({ pem }) => pem).join("");
  const trusted = roots.map(({ pem }) => pem).join("");
  return JSON.stringify({
    node: {
      id: `waypoint~${waypointIp}~waypoint-0.shop~shop.svc.cluster.local`,
      cluster: "waypoint.shop",
    },
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: 15000 } } },
    bootstrap_extensions: [
      {
        name: "envoy.bootstrap.internal_listener",
        typed_config: {
          "@type":
            "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
        },
      },
    ],
    static_resources: {
      secrets: [
        {
          name: "default",
          tls_certificate: {
            certificate_chain: { inline_string: chain },
            private_key: { inline_string: keyPem },
          },
        },
        { name: "ROOTCA", validation_context: { trusted_ca: { inline_string: trusted } } },
        {
          name: "file-root:system",
          validation_context: {
            trusted_ca: { filename: "/etc/ssl/certs/ca-certificates.crt" },
          },
        },
      ],
    },
  });
}

function argumentsFor(
  resources: CaseResources,
  certificate: KeyedCertificate,
  dir: string,
): readonly string[] {
  mkdirSync(dir, { recursive: true });
  const config = join(dir, "resources.pb");
  writeFileSync(config, staticResources(resources));
  return [
    "-c",
    config,
    "--config-yaml",
    bootstrap(certificate),
    "--concurrency",
    "1",
    "--use-dynamic-base-id",
    "--log-level",
    "warning",
    "--file-flush-interval-msec",
    "50",
  ];
}

/** Empty when Envoy takes these resources, else what it says. */
export function envoyRefuses(
  resources: CaseResources,
  certificate: KeyedCertificate,
  dir: string,
): string {
  const { status, stderr } = spawnSync(
    envoyBinary,
    ["--mode", "validate", ...argumentsFor(resources, certificate, dir)],
    { encoding: "utf8" },
  );
  return status === 0 ? "" : stderr;
}

const START_DEADLINE_MS = 20_000;

export class EnvoyWaypoint {
  readonly #process: ChildProcess;
  readonly #log: string;

  private constructor(child: ChildProcess, log: string) {
    this.#process = child;
    this.#log = log;
  }

  static async start(
    resources: CaseResources,
    certificate: KeyedCertificate,
    dir: string,
  ): Promise<EnvoyWaypoint> {
    const log = join(dir, "envoy.log");
    const args = [...argumentsFor(resources, certificate, dir), "--log-path", log];
    const child = spawn(envoyBinary, args, { stdio: "ignore" });
    const envoy = new EnvoyWaypoint(child, log);
    const deadline = Date.now() + START_DEADLINE_MS;
    while (!(await envoy.#listens())) {
      if (child.exitCode !== null || Date.now() > deadline) {
        child.kill("SIGKILL");
        throw new Error(`Cannot start Envoy: ${envoy.log()}`);
      }
      await new Promise((done) => setTimeout(done, 50));
    }
    return envoy;
  }

  log(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, "utf8") : "";
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    this.#process.kill("SIGKILL");
    await once(this.#process, "exit");
  }

  async #listens(): Promise<boolean> {
    const answer = await fetch("http://127.0.0.1:15000/ready").catch(() => undefined);
    if (answer?.status !== 200) return false;
    return new Promise((done) => {
      const socket = connect(15008, waypointIp, () => {
        socket.destroy();
        done(true);
      });
      socket.on("error", () => done(false));
    });
  }
}
