/** Networks: the one of this cluster, and the gateways that lead to others. */
import type { GatewayAddress } from "../../shared/model/workload.ts";
import { parseIp } from "../../shared/net/ip.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { GATEWAY_SERVICE_ACCOUNT, NETWORK_LABEL, REMOTE_GATEWAY_CLASS } from "./names.ts";
import type { ObjectTable } from "./objects.ts";
import type { MeshSettings } from "./settings.ts";
import { blankWorkload, type PublishedWorkload } from "./workload-parts.ts";

export interface Networks {
  /** "" when the cluster is not named one. */
  readonly local: string;
  /** First usable gateway to a network. */
  readonly gateways: ReadonlyMap<string, GatewayAddress>;
  /** The gateways as workloads, so that a node proxy knows their identity. */
  readonly workloads: readonly PublishedWorkload[];
}

interface NetworkGateway {
  readonly network: string;
  readonly address: string;
  readonly port: number;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export function buildNetworks(objects: ObjectTable, settings: MeshSettings): Networks {
  const local = objects.namespaceLabels(settings.rootNamespace)[NETWORK_LABEL] ?? "";
  const found = objects.ofKind("Gateway").flatMap(networkGatewaysOf);
  const gateways = new Map<string, GatewayAddress>();
  for (const gateway of found) {
    if (!gateways.has(gateway.network)) gateways.set(gateway.network, addressOf(gateway));
  }
  return { local, gateways, workloads: found.map((gateway) => asWorkload(gateway, settings)) };
}

/** A Gateway of the class for remote networks stands for the gateway over there; its HBONE listener says on which port. */
function networkGatewaysOf(gateway: ObjectOf<"Gateway">): readonly NetworkGateway[] {
  const network = gateway.metadata.labels[NETWORK_LABEL] ?? "";
  if (network === "" || gateway.spec.gatewayClassName !== REMOTE_GATEWAY_CLASS) return [];
  const listener = gateway.spec.listeners.find(({ protocol }) => protocol === "HBONE");
  if (listener === undefined) return [];
  const { name, namespace, annotations } = gateway.metadata;
  const given = gateway.status?.addresses ?? [];
  return (given.length > 0 ? given : gateway.spec.addresses).flatMap(({ type, value }) =>
    value !== undefined && (type === "IPAddress" || type === "Hostname")
      ? [
          {
            network,
            address: value,
            port: listener.port,
            namespace,
            serviceAccount:
              annotations[GATEWAY_SERVICE_ACCOUNT] || `${name}-${REMOTE_GATEWAY_CLASS}`,
          },
        ]
      : [],
  );
}

function addressOf(gateway: NetworkGateway): GatewayAddress {
  const ip = parseIp(gateway.address);
  const { namespace, network, address: hostname } = gateway;
  return {
    destination:
      ip === undefined
        ? { kind: "hostname", namespace, hostname }
        : { kind: "address", address: { network, ip } },
    hboneMtlsPort: gateway.port,
  };
}

function asWorkload(gateway: NetworkGateway, settings: MeshSettings): PublishedWorkload {
  const uid = `NetworkGateway/${gateway.network}/${gateway.address}/${gateway.port}`;
  const ip = parseIp(gateway.address);
  return {
    ...blankWorkload(settings),
    uid,
    name: uid,
    namespace: gateway.namespace,
    serviceAccount: gateway.serviceAccount,
    network: gateway.network,
    addresses: ip === undefined ? [] : [ip],
    hostname: ip === undefined ? gateway.address : "",
    workloadType: "deployment",
    clusterId: "",
  };
}
