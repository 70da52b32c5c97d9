/** The Kubernetes objects that describe a world, and the folder of YAML files that the roles watch. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Pod, ServiceSpec, Topology } from "./topology.ts";
import { namespacePath } from "./world.ts";

/** One Kubernetes object; the roles validate it, so here it is only data. */
export type KubernetesObject = Readonly<Record<string, unknown>>;

export type NamespaceLabels = Readonly<Record<string, string>>;

export function namespaceObject(name: string, labels: NamespaceLabels = {}): KubernetesObject {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

function podObject(pod: Pod): KubernetesObject {
  const ports = Object.entries(pod.ports).map(([name, containerPort]) => ({ name, containerPort }));
  const condition = (type: string): KubernetesObject => ({
    type,
    status: type === "Initialized" || pod.ready !== false ? "True" : "False",
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: pod.name,
      namespace: pod.namespace,
      uid: pod.uid,
      labels: { app: pod.app, version: pod.version, ...pod.labels },
      annotations: { "ambit.dev/netns": namespacePath(pod.netns) },
    },
    spec: {
      nodeName: pod.node,
      serviceAccountName: pod.serviceAccount,
      containers: [{ name: "app", image: "shop", ...(ports.length > 0 ? { ports } : {}) }],
    },
    status: {
      phase: "Running",
      podIP: pod.ip,
      podIPs: [{ ip: pod.ip }, { ip: pod.ip6 }],
      conditions: ["Initialized", "Ready", "ContainersReady"].map(condition),
    },
  };
}

function serviceObject(service: ServiceSpec): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: service.name, namespace: service.namespace },
    spec: { clusterIP: service.clusterIp, selector: { app: service.app }, ports: service.ports },
  };
}

function serviceAccounts(pods: readonly Pod[]): KubernetesObject[] {
  const keys = new Set(
    pods.map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`),
  );
  return [...keys].map((key) => {
    const [namespace, name] = key.split("/");
    return { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } };
  });
}

/** Nodes, service accounts, pods and services; namespaces are the caller's, because they carry the mesh's labels. */
export function topologyObjects(topology: Topology): KubernetesObject[] {
  return [
    ...topology.nodes.map(({ name, index }) => ({
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name,
        labels: {
          "topology.kubernetes.io/region": "here",
          "topology.kubernetes.io/zone": `zone${index}`,
        },
      },
    })),
    ...serviceAccounts(topology.pods),
    ...topology.pods.map(podObject),
    ...topology.services.map(serviceObject),
  ];
}

/** The folder of objects: each file is replaced atomically, as an editor or `kubectl apply` would. */
export class ObjectFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true });
  }

  write(name: string, objects: readonly KubernetesObject[]): void {
    this.writeText(name, objects.map((object) => stringify(object)).join("---\n"));
  }

  /** Any text, also a broken one. */
  writeText(name: string, text: string): void {
    const temporary = join(this.path, `.${name}.tmp`);
    writeFileSync(temporary, text);
    renameSync(temporary, join(this.path, `${name}.yaml`));
  }

  remove(name: string): void {
    rmSync(join(this.path, `${name}.yaml`), { force: true });
  }
}
