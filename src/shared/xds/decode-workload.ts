/** `istio.workload.Workload` to the model, with the wire's defaults (wire/ztunnel.md section 1.7). */
import type { ApplicationTunnel, PortMap, ServiceKey, Workload } from "../model/workload.ts";
import {
  ApplicationTunnel_Protocol,
  NetworkMode,
  TunnelProtocol,
  type PortList as WirePortList,
  type Workload as WireWorkload,
  WorkloadStatus,
  WorkloadType,
} from "../wire/gen/istio/workload/workload_pb.js";
import { DecodeError, decodeEnum, decodeGateway, decodeIp, decodePort } from "./decode-common.ts";

const tunnelProtocols: Readonly<Record<number, Workload["protocol"]>> = {
  [TunnelProtocol.NONE]: "TCP",
  [TunnelProtocol.HBONE]: "HBONE",
};

const networkModes: Readonly<Record<number, Workload["networkMode"]>> = {
  [NetworkMode.STANDARD]: "Standard",
  [NetworkMode.HOST_NETWORK]: "HostNetwork",
};

const statuses: Readonly<Record<number, Workload["status"]>> = {
  [WorkloadStatus.HEALTHY]: "Healthy",
  [WorkloadStatus.UNHEALTHY]: "Unhealthy",
};

/** Telemetry only: an unknown type is no reason to refuse. */
const workloadTypes: Readonly<Record<number, Workload["workloadType"]>> = {
  [WorkloadType.DEPLOYMENT]: "deployment",
  [WorkloadType.CRONJOB]: "cronjob",
  [WorkloadType.POD]: "pod",
  [WorkloadType.JOB]: "job",
};

const tunnelModes: Readonly<Record<number, ApplicationTunnel["protocol"]>> = {
  [ApplicationTunnel_Protocol.NONE]: "NONE",
  [ApplicationTunnel_Protocol.PROXY]: "PROXY",
};

export function decodeWorkload(wire: WireWorkload): Workload {
  const path = "workload";
  if (wire.tunnelProtocol === TunnelProtocol.LEGACY_ISTIO_MTLS)
    throw new DecodeError(
      `${path}.tunnel_protocol`,
      "unsupported tunnel protocol: legacy istio mtls",
    );
  return {
    uid: wire.uid,
    name: wire.name,
    namespace: wire.namespace,
    addresses: wire.addresses.map((bytes, i) => decodeIp(bytes, `${path}.addresses[${i}]`)),
    hostname: wire.hostname,
    network: wire.network,
    networkMode: decodeEnum(networkModes, wire.networkMode, `${path}.network_mode`),
    protocol: decodeEnum(tunnelProtocols, wire.tunnelProtocol, `${path}.tunnel_protocol`),
    trustDomain: wire.trustDomain || "cluster.local",
    serviceAccount: wire.serviceAccount || "default",
    ...(wire.waypoint && { waypoint: decodeGateway(wire.waypoint, `${path}.waypoint`) }),
    ...(wire.networkGateway && {
      networkGateway: decodeGateway(wire.networkGateway, `${path}.network_gateway`),
    }),
    node: wire.node,
    canonicalName: wire.canonicalName,
    canonicalRevision: wire.canonicalRevision,
    workloadType: workloadTypes[wire.workloadType] ?? "deployment",
    workloadName: wire.workloadName,
    nativeTunnel: wire.nativeTunnel,
    services: decodeServices(wire.services, `${path}.services`),
    authorizationPolicies: wire.authorizationPolicies,
    status: decodeEnum(statuses, wire.status, `${path}.status`),
    clusterId: wire.clusterId || "Kubernetes",
    ...(wire.applicationTunnel && {
      applicationTunnel: decodeApplicationTunnel(
        wire.applicationTunnel,
        `${path}.application_tunnel`,
      ),
    }),
    locality: {
      region: wire.locality?.region ?? "",
      zone: wire.locality?.zone ?? "",
      subzone: wire.locality?.subzone ?? "",
    },
    capacity: wire.capacity ?? 1,
  };
}

function decodeServices(
  services: Readonly<Record<string, WirePortList>>,
  path: string,
): ReadonlyMap<ServiceKey, PortMap> {
  const decoded = new Map<ServiceKey, PortMap>();
  for (const [key, list] of Object.entries(services)) {
    if (!isServiceKey(key))
      throw new DecodeError(path, `key "${key}" is not of the form namespace/hostname`);
    const ports = list.ports.map((port): [number, number] => [
      decodePort(port.servicePort),
      decodePort(port.targetPort),
    ]);
    decoded.set(key, new Map(ports));
  }
  return decoded;
}

function isServiceKey(key: string): key is ServiceKey {
  return key.includes("/");
}

function decodeApplicationTunnel(
  tunnel: NonNullable<WireWorkload["applicationTunnel"]>,
  path: string,
): ApplicationTunnel {
  const protocol = decodeEnum(tunnelModes, tunnel.protocol, `${path}.protocol`);
  const port = decodePort(tunnel.port);
  return port === 0 ? { protocol } : { protocol, port };
}
