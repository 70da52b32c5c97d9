/** `/config_dump`: everything this process knows, in the reference's shape (wire/ztunnel.md section 9.3). */

import type { SecretSnapshot, SecretState } from "../../shared/identity/secret-source.ts";
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import type { CertificateInfo } from "../../shared/identity/x509.ts";
import { policyKey } from "../../shared/model/policy.ts";
import type { MeshStore } from "../../shared/model/store.ts";
import { serviceKey } from "../../shared/model/workload.ts";
import { formatSocketAddress } from "../../shared/net/authority.ts";
import { formatTimestamp } from "../../shared/telemetry/logger.ts";
import type { ZtunnelConfig } from "../config.ts";
import type { PodInfo } from "../inpod/pod-proxy.ts";
import type { ConnectionDetails } from "../proxy/connections.ts";
import type { Direction } from "../telemetry/access-log.ts";
import { configView } from "./config-view.ts";
import { type JsonObject, policyView, serviceView, workloadView } from "./mesh-view.ts";

export interface DumpedConnection {
  readonly direction: Direction;
  readonly details: ConnectionDetails;
  /** Which thread carries it; only where there are several. */
  readonly thread?: number;
}

/** A pod as the workload manager sees it. */
export interface PodState {
  readonly uid: string;
  readonly state: "Up" | "Pending";
  readonly info: PodInfo;
  readonly connections: readonly DumpedConnection[];
}

export interface DumpSources {
  readonly config: ZtunnelConfig;
  readonly store: MeshStore;
  readonly certificates: () => readonly SecretSnapshot[];
  /** Undefined in dedicated mode. */
  readonly pods: (() => Promise<readonly PodState[]>) | undefined;
  readonly version: string;
  /** What LOCAL_XDS brought in; counted by name. */
  readonly staticConfig: JsonObject;
}

function byKey<T>(values: Iterable<T>, key: (value: T) => string): T[] {
  return [...values]
    .map((value) => [key(value), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, value]) => value);
}

function seconds(wallMs: number): string {
  return `${formatTimestamp(wallMs).slice(0, 19)}Z`;
}

function certificateView(certificate: CertificateInfo): JsonObject {
  return {
    pem: Buffer.from(certificate.pem).toString("base64"),
    serialNumber: certificate.serialDecimal,
    validFrom: seconds(certificate.notBeforeMs),
    expirationTime: seconds(certificate.notAfterMs),
  };
}

function stateText(state: SecretState): string {
  switch (state.kind) {
    case "initializing":
      return "Initializing";
    case "available":
      return "Available";
    case "unavailable":
      return `Unavailable: ${state.error}`;
  }
}

function secretView({ identity, state }: SecretSnapshot): JsonObject {
  const certificate = state.kind === "available" ? state.certificate : undefined;
  return {
    identity: formatSpiffe(identity),
    state: stateText(state),
    certChain:
      certificate === undefined
        ? []
        : [certificate.leaf, ...certificate.intermediates].map(certificateView),
    rootCerts: certificate === undefined ? [] : certificate.roots.map(certificateView),
  };
}

function connectionView({ details, thread }: DumpedConnection): JsonObject {
  const { originalDestination } = details;
  return {
    src: formatSocketAddress(details.source),
    originalDst:
      originalDestination === undefined || typeof originalDestination === "string"
        ? (originalDestination ?? null)
        : formatSocketAddress(originalDestination),
    actualDst: formatSocketAddress(details.actualDestination),
    protocol: details.protocol,
    ...(thread === undefined ? {} : { thread }),
  };
}

function podView(pod: PodState): JsonObject {
  const inbound: JsonObject[] = [];
  const outbound: JsonObject[] = [];
  for (const connection of pod.connections)
    (connection.direction === "inbound" ? inbound : outbound).push(connectionView(connection));
  return { state: pod.state, connections: { inbound, outbound }, info: pod.info };
}

export async function configDump(sources: DumpSources): Promise<JsonObject> {
  const { config, store, version } = sources;
  const pods = await sources.pods?.();
  const staged = store.stagedServices().map((key) => [
    key,
    Object.fromEntries(
      [...store.allEndpoints(key)].map(({ workload, ports }) => [
        workload.uid,
        {
          workloadUid: workload.uid,
          port: Object.fromEntries(ports),
          status: workload.status,
        },
      ]),
    ),
  ]);
  return {
    workloads: byKey(store.workloads(), ({ uid }) => uid).map(workloadView),
    services: byKey(store.services(), ({ hostname, namespace }) => `${hostname}/${namespace}`).map(
      (service) =>
        serviceView(service, store.allEndpoints(serviceKey(service.namespace, service.hostname))),
    ),
    policies: byKey(store.policies(), policyKey).map(policyView),
    stagedServices: Object.fromEntries(staged),
    staticConfig: sources.staticConfig,
    version: {
      version,
      gitRevision: "unknown",
      rustVersion: "none",
      buildProfile: "release",
      buildStatus: "unknown",
      istioVersion: config.istioVersion ?? "unknown",
      cryptoProvider: "openssl",
    },
    config: configView(config),
    certificates: sources.certificates().map(secretView),
    ...(pods === undefined
      ? {}
      : {
          workloadState: Object.fromEntries(
            byKey(pods, ({ uid }) => uid).map((pod) => [pod.uid, podView(pod)]),
          ),
        }),
  };
}
