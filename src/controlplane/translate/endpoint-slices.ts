/** Endpoints that somebody wrote by hand for a service without a selector: addresses without a pod behind them. */
import { serviceKey } from "../../shared/model/workload.ts";
import { parseIp } from "../../shared/net/ip.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import type { ServiceInfo } from "./service-info.ts";
import type { MeshSettings } from "./settings.ts";
import { blankWorkload, type PortPairs, type PublishedWorkload } from "./workload-parts.ts";

type EndpointSlice = ObjectOf<"EndpointSlice">;

/** Such an address may be shared by anybody, so it is marked like one of the host's network: found by service only. */
export function buildSliceEndpoints(
  slice: EndpointSlice,
  info: ServiceInfo,
  network: string,
  settings: MeshSettings,
): readonly PublishedWorkload[] {
  const { name, namespace } = slice.metadata;
  const ports = slicePorts(slice, info);
  const workloads = new Map<string, PublishedWorkload>();
  for (const endpoint of slice.endpoints) {
    const [key] = endpoint.addresses;
    if (endpoint.targetRef?.kind === "Pod" || key === undefined || workloads.has(key)) continue;
    const addresses = endpoint.addresses.flatMap((text) => parseIp(text) ?? []);
    if (addresses.length < endpoint.addresses.length) continue;
    workloads.set(key, {
      ...blankWorkload(settings),
      uid: `${settings.clusterId}/discovery.k8s.io/EndpointSlice/${namespace}/${name}/${key}`,
      name,
      namespace,
      addresses,
      network,
      networkMode: "HostNetwork",
      workloadType: "deployment",
      services: new Map([[serviceKey(info.service.namespace, info.service.hostname), ports]]),
      status: endpoint.conditions.ready === false ? "Unhealthy" : "Healthy",
    });
  }
  return [...workloads.values()];
}

/** A slice names its ports as the service does and numbers them as the endpoint does. */
function slicePorts(slice: EndpointSlice, info: ServiceInfo): PortPairs {
  const ports: [number, number][] = [];
  for (const port of slice.ports) {
    if (port.port === undefined || port.protocol !== "TCP") continue;
    const match = info.service.ports.find(
      ({ servicePort }) => info.portNames.get(servicePort)?.port === (port.name ?? ""),
    );
    if (match !== undefined) ports.push([match.servicePort, port.port]);
  }
  return ports;
}
