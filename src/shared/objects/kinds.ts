/** The table of kinds: which objects are understood, under which API group and versions, and whether they have a namespace. */

import {
  configMapBody,
  endpointSliceBody,
  type metadata,
  namespaceBody,
  nodeBody,
  podBody,
  serviceAccountBody,
  serviceBody,
} from "./kinds/core.ts";
import { destinationRuleBody } from "./kinds/destination-rule.ts";
import { gatewayBody, gatewayClassBody } from "./kinds/gateway.ts";
import {
  authorizationPolicyBody,
  opaqueBody,
  peerAuthenticationBody,
  serviceEntryBody,
  workloadEntryBody,
} from "./kinds/istio.ts";
import { requestAuthenticationBody } from "./kinds/request-authentication.ts";
import {
  grpcRouteBody,
  httpRouteBody,
  referenceGrantBody,
  tcpRouteBody,
  tlsRouteBody,
} from "./kinds/routes.ts";
import { telemetryBody } from "./kinds/telemetry.ts";
import { virtualServiceBody } from "./kinds/virtual-service.ts";
import type { Infer } from "./schema.ts";

const networking = {
  group: "networking.istio.io",
  versions: ["v1", "v1beta1", "v1alpha3"],
  namespaced: true,
} as const;
const security = {
  group: "security.istio.io",
  versions: ["v1", "v1beta1"],
  namespaced: true,
} as const;
const gatewayApi = {
  group: "gateway.networking.k8s.io",
  versions: ["v1", "v1beta1", "v1alpha3", "v1alpha2"],
  namespaced: true,
} as const;
const core = { group: "", versions: ["v1"], namespaced: true } as const;
const telemetry = {
  group: "telemetry.istio.io",
  versions: ["v1", "v1alpha1"],
  namespaced: true,
} as const;

/** Keys are unique names; `name` is given where the object's own kind differs from the key. */
export const kinds = {
  Namespace: { ...core, namespaced: false, body: namespaceBody },
  Node: { ...core, namespaced: false, body: nodeBody },
  ConfigMap: { ...core, body: configMapBody },
  Pod: { ...core, body: podBody },
  Service: { ...core, body: serviceBody },
  ServiceAccount: { ...core, body: serviceAccountBody },
  EndpointSlice: {
    group: "discovery.k8s.io",
    versions: ["v1", "v1beta1"],
    namespaced: true,
    body: endpointSliceBody,
  },
  PeerAuthentication: { ...security, body: peerAuthenticationBody },
  AuthorizationPolicy: { ...security, body: authorizationPolicyBody },
  RequestAuthentication: { ...security, body: requestAuthenticationBody },
  ServiceEntry: { ...networking, body: serviceEntryBody },
  WorkloadEntry: { ...networking, body: workloadEntryBody },
  DestinationRule: { ...networking, body: destinationRuleBody },
  VirtualService: { ...networking, body: virtualServiceBody },
  IstioGateway: { ...networking, name: "Gateway", body: opaqueBody },
  Gateway: { ...gatewayApi, body: gatewayBody },
  GatewayClass: { ...gatewayApi, namespaced: false, body: gatewayClassBody },
  HTTPRoute: { ...gatewayApi, body: httpRouteBody },
  GRPCRoute: { ...gatewayApi, body: grpcRouteBody },
  TLSRoute: { ...gatewayApi, body: tlsRouteBody },
  TCPRoute: { ...gatewayApi, body: tcpRouteBody },
  ReferenceGrant: { ...gatewayApi, body: referenceGrantBody },
  Telemetry: { ...telemetry, body: telemetryBody },
} as const;

export type Kind = keyof typeof kinds;
export type ObjectMeta = Infer<typeof metadata>;

/** Where an object was read, for messages. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

export type ObjectOf<K extends Kind> = {
  readonly kind: K;
  readonly key: ObjectKey;
  readonly apiVersion: string;
  /** `namespace` is "" for kinds of the whole cluster and never absent otherwise. */
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly origin: Origin;
} & Infer<(typeof kinds)[K]["body"]>;

export type MeshObject = { [K in Kind]: ObjectOf<K> }[Kind];

/** `Kind/namespace/name`, unique in the mesh. */
export type ObjectKey = `${Kind}/${string}/${string}`;

export function objectKey(kind: Kind, namespace: string, name: string): ObjectKey {
  return `${kind}/${namespace}/${name}`;
}

/** The uid that a pod has everywhere: the API server's, or one made of its name when it comes from a file. */
export function podUid(pod: ObjectOf<"Pod">): string {
  return pod.metadata.uid ?? `${pod.metadata.namespace}/${pod.metadata.name}`;
}

/** The API server copies one into the other and falls back to `default`. */
export function podServiceAccount(pod: ObjectOf<"Pod">): string {
  return pod.spec.serviceAccountName ?? pod.spec.serviceAccount ?? "default";
}

/** The kind as its author writes it; with the group where two groups have a kind of that name. */
export function kindName(kind: Kind): string {
  const entry = kinds[kind];
  return "name" in entry ? `${entry.name} (${entry.group})` : kind;
}

/** How messages name an object. */
export function objectName({ kind, metadata }: MeshObject): string {
  const namespace = metadata.namespace === "" ? "" : `${metadata.namespace}/`;
  return `${kindName(kind)} ${namespace}${metadata.name}`;
}

/** Kinds that only an ingress gateway acts on: their names are checked here, their contents are not. */
export function isForGateway(kind: Kind): boolean {
  return kinds[kind].body === opaqueBody;
}

const byGroupAndName: ReadonlyMap<string, Kind> = new Map(
  Object.entries(kinds).map(([key, entry]) => [
    `${entry.group}/${"name" in entry ? entry.name : key}`,
    key as Kind,
  ]),
);

/** Undefined for a kind, group or version that is not in the table. */
export function findKind(apiVersion: string, name: string): Kind | undefined {
  const slash = apiVersion.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.slice(0, slash);
  const version = apiVersion.slice(slash + 1);
  const kind = byGroupAndName.get(`${group}/${name}`);
  if (kind === undefined) return undefined;
  const versions: readonly string[] = kinds[kind].versions;
  return versions.includes(version) ? kind : undefined;
}
