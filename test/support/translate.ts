/** Objects in YAML → mesh state, for tests of the translation. */
import { allocateAddresses } from "../../src/controlplane/translate/auto-addresses.ts";
import type { RedirectedPods } from "../../src/controlplane/translate/redirection.ts";
import {
  defaultMeshSettings,
  type MeshSettings,
} from "../../src/controlplane/translate/settings.ts";
import { type MeshState, Translator } from "../../src/controlplane/translate/translate.ts";
import type { PublishedWorkload } from "../../src/controlplane/translate/workload-parts.ts";
import type { Service } from "../../src/shared/model/workload.ts";
import {
  emptyContent,
  mergeContents,
  updateContent,
} from "../../src/shared/objects/file/content.ts";
import { problemText } from "../../src/shared/objects/file/source.ts";
import type { MeshObject, ObjectKey } from "../../src/shared/objects/kinds.ts";

/** Throws when an object is refused. */
export function objectsOf(...texts: readonly string[]): ReadonlyMap<ObjectKey, MeshObject> {
  const content = updateContent(emptyContent("test.yaml"), texts.join("\n---\n"));
  const { objects, duplicates } = mergeContents([content]);
  const problems = [...content.problems, ...duplicates];
  if (problems.length > 0) throw new Error(problems.map(problemText).join("\n"));
  return objects;
}

export function inputOf(
  objects: ReadonlyMap<ObjectKey, MeshObject>,
  redirected: RedirectedPods = new Map(),
) {
  const entries = [...objects.values()].filter((object) => object.kind === "ServiceEntry");
  return { objects, redirected, autoAddresses: allocateAddresses(entries, new Map()) };
}

export function translate(
  text: string | readonly string[],
  options: { readonly settings?: Partial<MeshSettings>; readonly redirected?: RedirectedPods } = {},
): MeshState {
  const objects = objectsOf(...(typeof text === "string" ? [text] : text));
  const translator = new Translator({ ...defaultMeshSettings, ...options.settings });
  return translator.translate(inputOf(objects, options.redirected));
}

export function workloadOf(state: MeshState, name: string): PublishedWorkload {
  for (const workload of state.workloads.values()) {
    if (workload.name === name || workload.uid === name) return workload;
  }
  throw new Error(`no workload ${name} among ${[...state.workloads.keys()].join(", ")}`);
}

export function serviceOf(state: MeshState, key: string): Service {
  for (const [name, service] of state.services) {
    if (name === key || service.hostname === key || service.name === key) return service;
  }
  throw new Error(`no service ${key} among ${[...state.services.keys()].join(", ")}`);
}

export interface PodParts {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

/** A ready pod in `shop` with an address. */
export function pod(name: string, parts: PodParts = {}): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: parts.namespace ?? "shop",
      labels: parts.labels ?? { app: name },
      annotations: parts.annotations ?? { "ambient.istio.io/redirection": "enabled" },
      ...parts.metadata,
    },
    spec: {
      nodeName: "node1",
      serviceAccountName: name,
      containers: [{ name: "c" }],
      ...parts.spec,
    },
    status: {
      phase: "Running",
      podIP: "10.10.1.10",
      conditions: [{ type: "Ready", status: "True" }],
      ...parts.status,
    },
  });
}

export interface ServiceParts {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** A service `<name>.shop` on port 80 of the pods with `app: <name>`. */
export function service(name: string, parts: ServiceParts = {}): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name,
      namespace: parts.namespace ?? "shop",
      labels: parts.labels ?? {},
      annotations: parts.annotations ?? {},
    },
    spec: {
      clusterIP: "10.96.1.1",
      selector: { app: name },
      ports: [{ name: "http", port: 80 }],
      ...parts.spec,
    },
  });
}

export function namespace(
  name: string,
  labels: Readonly<Record<string, string>> = {},
  annotations: Readonly<Record<string, string>> = {},
): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels, annotations },
  });
}

export function istio(
  kind: string,
  name: string,
  spec: unknown,
  metadata: Readonly<Record<string, unknown>> = {},
): string {
  const group =
    kind === "PeerAuthentication" || kind === "AuthorizationPolicy" ? "security" : "networking";
  return JSON.stringify({
    apiVersion: `${group}.istio.io/v1`,
    kind,
    metadata: { name, namespace: "shop", ...metadata },
    spec,
  });
}

export function gateway(
  name: string,
  parts: {
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly spec?: Readonly<Record<string, unknown>>;
    readonly status?: unknown;
  } = {},
): string {
  return JSON.stringify({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: {
      name,
      namespace: parts.namespace ?? "shop",
      labels: parts.labels ?? {},
      annotations: parts.annotations ?? {},
    },
    spec: {
      gatewayClassName: "istio-waypoint",
      listeners: [{ name: "mesh", port: 15008, protocol: "HBONE" }],
      ...parts.spec,
    },
    ...(parts.status === undefined ? {} : { status: parts.status }),
  });
}
