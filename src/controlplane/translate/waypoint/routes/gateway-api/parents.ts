/** What routes are attached to: services and hosts outside, whose waypoint then follows them. */
import type { ParentRef } from "../../../../../shared/objects/kinds/routes.ts";
import type { ObjectOf } from "../../../../../shared/objects/kinds.ts";
import { USE_WAYPOINT, USE_WAYPOINT_NAMESPACE } from "../../../names.ts";
import { byText } from "../../wire.ts";
import type { ConversionContext } from "./backends.ts";

export type RouteObject = ObjectOf<"HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute">;

export interface Parent {
  readonly ref: ParentRef;
  readonly kind: "Service" | "ServiceEntry";
  /** The names that the parent is known by; none while it is not there. */
  readonly hosts: readonly string[];
  readonly denied: string | undefined;
  /** Why no waypoint will follow the route. */
  readonly waypointFault: string | undefined;
}

const OUR_CONTROLLERS = ["istio.io/mesh-controller", "istio.io/gateway-controller"];
const NO_LABEL =
  "istio.io/use-waypoint label missing from parent and parent namespace; in ambient mode, route will not be respected";

/** Gateways are not among them: what enters the cluster there is not ours. */
export function parentsOf(route: RouteObject, context: ConversionContext): readonly Parent[] {
  return [...route.spec.parentRefs]
    .sort((a, b) => byText(sortKey(a, route), sortKey(b, route)))
    .flatMap((ref) => parentOf(ref, route.metadata.namespace, context) ?? []);
}

function sortKey(
  { group, kind, name, namespace, sectionName, port }: ParentRef,
  route: RouteObject,
) {
  const place = namespace ?? route.metadata.namespace;
  return `${group}/${kind}/${name}/${sectionName ?? ""}/${port ?? 0}.${place}`;
}

function parentOf(
  ref: ParentRef,
  routeNamespace: string,
  context: ConversionContext,
): Parent | undefined {
  const kind = kindOf(ref);
  if (kind === undefined) return undefined;
  const { objects, clusterDomain } = context;
  const namespace = ref.namespace ?? routeNamespace;
  const object = objects.find(kind, namespace, ref.name);
  if (object === undefined) {
    const what = kind === "Service" ? "parent service" : "parent service entry";
    return {
      ref,
      kind,
      hosts: [],
      denied: `${what}: "${ref.name}" not found`,
      waypointFault: "parent not found",
    };
  }
  const labels = waypointLabels(object, context);
  if (isOfAnotherController(labels, namespace, context)) return undefined;
  const hosts =
    kind === "ServiceEntry"
      ? (objects.find("ServiceEntry", namespace, ref.name)?.spec.hosts ?? [])
      : [`${ref.name}.${namespace}.svc.${clusterDomain}`];
  const waypointFault = isUsed(labels[USE_WAYPOINT]) ? undefined : NO_LABEL;
  return { ref, kind, hosts, denied: undefined, waypointFault };
}

function kindOf({ group, kind }: ParentRef): "Service" | "ServiceEntry" | undefined {
  if (kind === "Service" && (group === "" || group === "core")) return "Service";
  return kind === "ServiceEntry" && group === "networking.istio.io" ? "ServiceEntry" : undefined;
}

type Labels = Readonly<Record<string, string>>;

/** The labels that decide: the object's where they name a waypoint, else the namespace's. */
function waypointLabels(
  { metadata }: ObjectOf<"Service" | "ServiceEntry">,
  { objects }: ConversionContext,
): Labels {
  if (isUsed(metadata.labels[USE_WAYPOINT])) return metadata.labels;
  return objects.namespace(metadata.namespace)?.metadata.labels ?? {};
}

function isUsed(name: string | undefined): name is string {
  return name !== undefined && name !== "" && name.toLowerCase() !== "none";
}

/** Another implementation's waypoint follows its own reading of the route. */
function isOfAnotherController(
  labels: Labels,
  namespace: string,
  { objects }: ConversionContext,
): boolean {
  const name = labels[USE_WAYPOINT];
  if (!isUsed(name)) return false;
  const place = labels[USE_WAYPOINT_NAMESPACE] || namespace;
  const gateway = objects.find("Gateway", place, name);
  const gatewayClass = gateway && objects.find("GatewayClass", "", gateway.spec.gatewayClassName);
  return gatewayClass !== undefined && !OUR_CONTROLLERS.includes(gatewayClass.spec.controllerName);
}
