/** What workloads of every origin have in common. */
import { type Labels, REDIRECTION_ANNOTATION } from "../../shared/model/enrollment.ts";
import type {
  Locality,
  ServiceKey,
  TunnelProtocol,
  Workload,
} from "../../shared/model/workload.ts";
import type { MeshObject } from "../../shared/objects/kinds.ts";
import { TUNNEL_LABEL } from "./names.ts";
import type { MeshSettings } from "./settings.ts";

/** Service port and target port; a list, because a service may have one port number for TCP and for UDP. */
export type PortPairs = readonly (readonly [servicePort: number, targetPort: number])[];

/** A workload in the exact words of the wire: its ports as a list, and whether its weight was stated or is the default. */
export type PublishedWorkload = Omit<Workload, "services"> & {
  readonly services: ReadonlyMap<ServiceKey, PortPairs>;
  readonly capacityStated?: true;
};

export const noLocality: Locality = { region: "", zone: "", subzone: "" };

/** The wire's defaults; builders override what they know. */
export function blankWorkload(settings: MeshSettings): PublishedWorkload {
  return {
    uid: "",
    name: "",
    namespace: "",
    addresses: [],
    hostname: "",
    network: "",
    networkMode: "Standard",
    protocol: "TCP",
    trustDomain: settings.trustDomain,
    serviceAccount: "",
    node: "",
    canonicalName: "",
    canonicalRevision: "",
    workloadType: "pod",
    workloadName: "",
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    status: "Healthy",
    clusterId: settings.clusterId,
    locality: noLocality,
    capacity: 1,
  };
}

const NAME_LABELS = ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
const REVISION_LABELS = [
  "service.istio.io/canonical-revision",
  "app.kubernetes.io/version",
  "version",
];

export function canonicalService(
  labels: Labels,
  workloadName: string,
): { readonly canonicalName: string; readonly canonicalRevision: string } {
  return {
    canonicalName: firstLabel(labels, NAME_LABELS) ?? workloadName,
    canonicalRevision: firstLabel(labels, REVISION_LABELS) ?? "latest",
  };
}

function firstLabel(labels: Labels, keys: readonly string[]): string | undefined {
  const key = keys.find((candidate) => Object.hasOwn(labels, candidate));
  return key === undefined ? undefined : labels[key];
}

/** How the workload is reached: by its node proxy, by itself when it terminates tunnels, else in plain TCP. */
export function tunnelOf(
  labels: Labels,
  redirected: boolean,
): { readonly protocol: TunnelProtocol; readonly nativeTunnel: boolean } {
  const nativeTunnel = (labels[TUNNEL_LABEL] ?? "").split(",").includes("http");
  return { protocol: nativeTunnel || redirected ? "HBONE" : "TCP", nativeTunnel };
}

export function isMarkedRedirected(object: MeshObject): boolean {
  return object.metadata.annotations[REDIRECTION_ANNOTATION] === "enabled";
}

/** `region/zone/subzone`, the later parts optional. */
export function parseLocality(text: string): Locality {
  const [region = "", zone = "", subzone = ""] = text.split("/");
  return { region, zone, subzone };
}
