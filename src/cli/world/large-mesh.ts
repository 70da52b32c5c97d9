/** Objects of a mesh of any size, in the proportions of a large cluster: pods of other nodes, services, policies. */
import type { KubernetesObject } from "./objects.ts";

export interface MeshSize {
  readonly workloads: number;
  readonly services: number;
  readonly policies: number;
}

const NAMESPACES = 50;
const PODS_PER_NODE = 100;
/** Objects a file: many small ones are as unlike real folders as a single large one. */
const PER_FILE = 250;

export interface ObjectFile {
  readonly name: string;
  readonly objects: readonly KubernetesObject[];
}

function namespaceOf(index: number): string {
  return `team-${index % NAMESPACES}`;
}

function appOf(service: number): string {
  return `app-${service}`;
}

/** 11.0.0.0/8: none of the world's own addresses. */
function podIp(index: number): string {
  return `11.${1 + (index >> 14)}.${(index >> 7) & 127}.${1 + (index & 127)}`;
}

function pod(index: number, { services }: MeshSize): KubernetesObject {
  const service = index % services;
  const app = appOf(service);
  const ip = podIp(index);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${app}-7d9c5b8f6d-${index.toString(36).padStart(5, "x")}`,
      generateName: `${app}-7d9c5b8f6d-`,
      namespace: namespaceOf(service),
      uid: `11111111-0000-4000-8000-${index.toString(16).padStart(12, "0")}`,
      labels: { app, version: `v${index % 3}`, "pod-template-hash": "7d9c5b8f6d" },
      annotations: { "ambient.istio.io/redirection": "enabled" },
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: `${app}-7d9c5b8f6d`, controller: true },
      ],
    },
    spec: {
      nodeName: `far-${Math.floor(index / PODS_PER_NODE)}`,
      serviceAccountName: app,
      containers: [{ name: "app", image: "app", ports: [{ name: "http", containerPort: 8080 }] }],
    },
    status: {
      phase: "Running",
      podIP: ip,
      podIPs: [{ ip }],
      conditions: ["Initialized", "Ready", "ContainersReady"].map((type) => ({
        type,
        status: "True",
      })),
    },
  };
}

function service(index: number): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: appOf(index), namespace: namespaceOf(index) },
    spec: {
      clusterIP: `10.112.${index >> 7}.${1 + (index & 127)}`,
      selector: { app: appOf(index) },
      ports: [
        { name: "http", port: 80, targetPort: "http" },
        { name: "metrics", port: 9090, targetPort: 9090 },
      ],
    },
  };
}

/** Every tenth is for a whole namespace, the others for the pods of one service. */
function policy(index: number): KubernetesObject {
  const caller = (step: number): string =>
    `cluster.local/ns/${namespaceOf(index + step)}/sa/${appOf(index + step)}`;
  const selector = index % 10 === 0 ? {} : { selector: { matchLabels: { app: appOf(index) } } };
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: `allow-${index}`, namespace: namespaceOf(index) },
    spec: {
      ...selector,
      action: "ALLOW",
      rules: [
        {
          from: [{ source: { principals: [caller(1), caller(2), caller(3)] } }],
          to: [{ operation: { ports: ["80", "8080"] } }],
        },
        { from: [{ source: { namespaces: [namespaceOf(index), "monitoring"] } }] },
      ],
    },
  };
}

function series<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

export function largeMesh(size: MeshSize): readonly ObjectFile[] {
  const files: ObjectFile[] = [
    {
      name: "namespaces",
      objects: series(NAMESPACES, (index) => ({
        apiVersion: "v1",
        kind: "Namespace",
        metadata: {
          name: namespaceOf(index),
          labels: { "istio.io/dataplane-mode": "ambient" },
        },
      })),
    },
  ];
  const add = (kind: string, objects: readonly KubernetesObject[]): void => {
    for (let at = 0; at < objects.length; at += PER_FILE)
      files.push({ name: `${kind}-${at / PER_FILE}`, objects: objects.slice(at, at + PER_FILE) });
  };
  add(
    "pods",
    series(size.workloads, (index) => pod(index, size)),
  );
  add("services", series(size.services, service));
  add("policies", series(size.policies, policy));
  return files;
}
