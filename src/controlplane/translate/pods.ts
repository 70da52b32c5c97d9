/** Pods as workloads. */
import type { Locality, ServiceKey } from "../../shared/model/workload.ts";
import { serviceKey } from "../../shared/model/workload.ts";
import { type IpAddress, parseIp } from "../../shared/net/ip.ts";
import { type ObjectOf, podServiceAccount } from "../../shared/objects/kinds.ts";
import { WORKLOAD_NAME_LABEL } from "./names.ts";
import type { ServiceInfo } from "./service-info.ts";
import type { MeshSettings } from "./settings.ts";
import { type Placement, placementFields } from "./workload-context.ts";
import {
  blankWorkload,
  canonicalService,
  type PortPairs,
  type PublishedWorkload,
  tunnelOf,
} from "./workload-parts.ts";

type Pod = ObjectOf<"Pod">;

export interface PodFacts {
  readonly services: readonly ServiceInfo[];
  readonly policies: readonly string[];
  readonly placement: Placement;
  readonly locality: Locality;
  readonly redirected: boolean;
}

/** Undefined for a pod that has no address or has run to its end. A pod that still starts counts: its init containers may talk. */
export function podAddresses(pod: Pod): readonly IpAddress[] | undefined {
  const { phase, podIP, podIPs } = pod.status;
  if (phase === "Failed" || phase === "Succeeded") return undefined;
  const texts =
    podIPs.length > 0 ? podIPs.map(({ ip }) => ip ?? "") : podIP === undefined ? [] : [podIP];
  const addresses = texts.flatMap((text) => parseIp(text) ?? []);
  return addresses.length === 0 || addresses.length < texts.length ? undefined : addresses;
}

export function buildPod(
  pod: Pod,
  addresses: readonly IpAddress[],
  facts: PodFacts,
  settings: MeshSettings,
): PublishedWorkload {
  const { metadata, spec } = pod;
  const workloadName = workloadNameOf(pod);
  return {
    ...blankWorkload(settings),
    uid: `${settings.clusterId}//Pod/${metadata.namespace}/${metadata.name}`,
    name: metadata.name,
    namespace: metadata.namespace,
    addresses,
    ...placementFields(facts.placement),
    networkMode: spec.hostNetwork ? "HostNetwork" : "Standard",
    ...tunnelOf(metadata.labels, facts.redirected),
    serviceAccount: podServiceAccount(pod),
    node: spec.nodeName,
    workloadName,
    ...canonicalService(metadata.labels, workloadName),
    services: podServices(pod, facts.services),
    authorizationPolicies: facts.policies,
    status: isReady(pod) ? "Healthy" : "Unhealthy",
    locality: facts.locality,
  };
}

function isReady(pod: Pod): boolean {
  const ready = pod.status.conditions.find(({ type }) => type === "Ready");
  return ready?.status === "True" && pod.metadata.deletionTimestamp === undefined;
}

function podServices(
  pod: Pod,
  services: readonly ServiceInfo[],
): ReadonlyMap<ServiceKey, PortPairs> {
  return new Map(
    services.map((info) => [
      serviceKey(info.service.namespace, info.service.hostname),
      podPorts(pod, info),
    ]),
  );
}

/** A port whose named target this pod lacks is left out. */
function podPorts(pod: Pod, info: ServiceInfo): PortPairs {
  const ports: [number, number][] = [];
  for (const { servicePort, targetPort } of info.service.ports) {
    const target = podTargetPort(pod, info, servicePort, targetPort);
    if (target !== undefined) ports.push([servicePort, target]);
  }
  return ports;
}

function podTargetPort(
  pod: Pod,
  info: ServiceInfo,
  servicePort: number,
  targetPort: number,
): number | undefined {
  const names = info.portNames.get(servicePort);
  if (names === undefined) return targetPort;
  if (names.target !== "") return containerPort(pod, names.target);
  // A ServiceEntry has no named targets: its port name is looked for among the container's.
  if (info.source.kind === "ServiceEntry" && names.port !== "")
    return containerPort(pod, names.port) ?? targetPort;
  return targetPort;
}

/** Containers first, then init containers that keep running beside them. */
function containerPort(pod: Pod, name: string): number | undefined {
  const lasting = pod.spec.initContainers.filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const container of [...pod.spec.containers, ...lasting]) {
    const found = container.ports.find((port) => port.name === name && port.protocol === "TCP");
    if (found !== undefined) return found.containerPort;
  }
  return undefined;
}

/** The controller's name where the pod is one of many: Deployment, CronJob and the like by the usual shapes of names. */
function workloadNameOf({ metadata }: Pod): string {
  const stated = metadata.labels[WORKLOAD_NAME_LABEL];
  if (stated !== undefined) return stated;
  const owner = metadata.ownerReferences.find(({ controller }) => controller);
  if (metadata.generateName === undefined || metadata.generateName === "" || owner === undefined)
    return metadata.name;
  if (owner.kind === "ReplicaSet") {
    for (const label of ["pod-template-hash", "rollouts-pod-template-hash"]) {
      const hash = metadata.labels[label];
      if (hash !== undefined && hash !== "" && owner.name.endsWith(hash))
        return removeSuffix(owner.name, `-${hash}`);
    }
  }
  if (owner.kind === "ReplicationController")
    return metadata.labels["deploymentconfig"] || owner.name;
  if (owner.kind === "Job") return /^(.+)-\d{8,10}$/.exec(owner.name)?.[1] ?? owner.name;
  return owner.name;
}

function removeSuffix(text: string, suffix: string): string {
  return text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
}
