/**
 * The waypoint behind a stream: what it says of itself, and what the objects say about its pod, which is stronger
 * (wire/waypoint.md section 2.1).
 */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Locality } from "../../shared/model/workload.ts";
import { type IpAddress, parseIp } from "../../shared/net/ip.ts";
import { parseDurationMs } from "../../shared/objects/kinds/scalars.ts";
import type { Node } from "../../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { parseVersion, type WaypointNode } from "../translate/waypoint/node.ts";
import type { Sources } from "../translate/waypoint/sources.ts";
import { noLocality } from "../translate/workload-parts.ts";
import { localityOf } from "../translate/workload-plans.ts";

export function waypointNode(node: Node, sources: Sources, clusterDomain: string): WaypointNode {
  const { objects, mesh } = sources;
  const [, address = "", podAndNamespace = ""] = node.id.split("~");
  const metadata = node.metadata ?? {};
  const namespace =
    text(metadata["NAMESPACE"]) || podAndNamespace.slice(podAndNamespace.lastIndexOf(".") + 1);
  const podName = podAndNamespace.slice(0, Math.max(0, podAndNamespace.lastIndexOf(".")));
  const pod = objects.find("Pod", namespace, podName);
  const nodeName = pod?.spec.nodeName || text(metadata["NODE_NAME"]);
  const serviceAccount = text(metadata["SERVICE_ACCOUNT"]);
  return {
    namespace,
    podName,
    ips: addresses(text(metadata["INSTANCE_IPS"]) || address),
    labels: pod?.metadata.labels ?? record(metadata["LABELS"]),
    annotations: pod?.metadata.annotations ?? record(metadata["ANNOTATIONS"]),
    nodeName,
    locality: localityOfNode(sources, nodeName),
    network: text(metadata["NETWORK"]) || sources.around.networks.local,
    clusterId: text(metadata["CLUSTER_ID"]) || mesh.clusterId,
    meshId: text(metadata["MESH_ID"]) || mesh.trustDomain,
    serviceCluster: node.cluster || `${serviceAccount}.${namespace}.svc.${clusterDomain}`,
    version: parseVersion(text(metadata["ISTIO_VERSION"])),
    idleTimeoutMs: parseDurationMs(text(metadata["IDLE_TIMEOUT"])),
    acceptsHttp10: text(metadata["HTTP10"]) === "1",
    disableHboneSend: text(metadata["DISABLE_HBONE_SEND"]) === "true",
  };
}

function localityOfNode({ objects }: Sources, name: string): Locality {
  const node = objects.node(name);
  return node === undefined ? noLocality : localityOf(node);
}

function addresses(list: string): readonly IpAddress[] {
  return list.split(",").flatMap((part) => parseIp(part.trim()) ?? []);
}

function text(value: JsonObject[string] | undefined): string {
  return typeof value === "string" ? value : "";
}

function record(value: JsonObject[string] | undefined): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
}
