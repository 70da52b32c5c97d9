/** What became of Gateways that are waypoints, and of routes whose parents are services: in the words of the Gateway API. */
import { serviceKey } from "../../shared/model/workload.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import type { Condition } from "./conditions.ts";
import { Memo } from "./memo.ts";
import { WAYPOINT_CONTROLLER, WAYPOINT_GATEWAY_CLASS } from "./names.ts";
import type { ObjectTable } from "./objects.ts";
import type { Surroundings } from "./service-builder.ts";
import type { MeshSettings } from "./settings.ts";
import type { Parent } from "./waypoint/routes/gateway-api/parents.ts";
import { gatewayRoutes, type RouteOutcome } from "./waypoint/routes/gateway-api/sources.ts";
import type { Waypoint } from "./waypoints.ts";

const KINDS = [
  ...(["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"] as const),
  ...(["Service", "ServiceEntry", "Namespace", "Gateway", "GatewayClass"] as const),
];

/** Made anew only when routes, or what they may name, changed. */
export class RouteConditions {
  readonly #settings: MeshSettings;
  readonly #memo = new Memo<"all", readonly Condition[]>();

  constructor(settings: MeshSettings) {
    this.#settings = settings;
  }

  build(objects: ObjectTable, around: Surroundings): readonly Condition[] {
    const ingredients = [...KINDS.map((kind) => objects.ofKind(kind)), around];
    const conditions = this.#memo.getByReference("all", ingredients, () => [
      ...gatewayConditions(objects, around),
      ...routeConditions(objects, around, this.#settings),
    ]);
    this.#memo.endPass();
    return conditions;
  }
}

function routeConditions(
  objects: ObjectTable,
  around: Surroundings,
  { clusterDomain }: MeshSettings,
): readonly Condition[] {
  const hosts = new Set([...around.services.byKey.values()].map(({ service }) => service.hostname));
  const context = { objects, clusterDomain, knowsHost: (host: string) => hosts.has(host) };
  return gatewayRoutes(context, ["*"]).outcomes.flatMap(outcomeConditions);
}

function outcomeConditions({ route, parents, fault }: RouteOutcome): readonly Condition[] {
  const object = route.key;
  return parents.flatMap((parent): readonly Condition[] => {
    const at = `${parent.kind} ${parentText(parent)}`;
    const { denied, waypointFault } = parent;
    return [
      denied === undefined
        ? yes(object, "Accepted", "Accepted", `${at}: Route was valid`)
        : no(object, "Accepted", "NoMatchingParent", `${at}: ${denied}`),
      fault === undefined
        ? yes(object, "ResolvedRefs", "ResolvedRefs", `${at}: All references resolved`)
        : no(object, "ResolvedRefs", fault.reason, `${at}: ${fault.message}`),
      // True even with a fault, as in the reference: only the message tells.
      yes(
        object,
        "ResolvedWaypoints",
        "ResolvedWaypoints",
        `${at}: ${waypointFault ?? "All waypoints resolved"}`,
      ),
    ];
  });
}

function parentText({ ref: { namespace, name, port } }: Parent): string {
  const whole = namespace === undefined ? name : `${namespace}/${name}`;
  return port === undefined ? whole : `${whole}:${port}`;
}

function gatewayConditions(objects: ObjectTable, around: Surroundings): readonly Condition[] {
  return objects.ofKind("Gateway").flatMap((gateway) => {
    const { gatewayClassName } = gateway.spec;
    const controller =
      objects.find("GatewayClass", "", gatewayClassName)?.spec.controllerName ??
      (gatewayClassName === WAYPOINT_GATEWAY_CLASS ? WAYPOINT_CONTROLLER : undefined);
    if (controller !== WAYPOINT_CONTROLLER) return [];
    const { namespace, name } = gateway.metadata;
    const waypoint = around.waypoints.get(`${namespace}/${name}`);
    return [
      yes(gateway.key, "Accepted", "Accepted", "Resource accepted"),
      programmed(gateway, waypoint, around),
    ];
  });
}

function programmed(
  gateway: ObjectOf<"Gateway">,
  waypoint: Waypoint | undefined,
  around: Surroundings,
): Condition {
  const destination = waypoint?.address?.destination;
  if (destination === undefined)
    return no(
      gateway.key,
      "Programmed",
      "AddressNotAssigned",
      "no service stands for the Gateway yet, and its status names no address",
    );
  if (destination.kind === "address")
    return yes(
      gateway.key,
      "Programmed",
      "Programmed",
      `Resource programmed, assigned to address ${destination.address.ip}`,
    );
  const { namespace, hostname } = destination;
  return around.services.byKey.has(serviceKey(namespace, hostname))
    ? yes(
        gateway.key,
        "Programmed",
        "Programmed",
        `Resource programmed, assigned to service(s) ${hostname}:15008`,
      )
    : no(
        gateway.key,
        "Programmed",
        "AddressNotUsable",
        `Failed to assign to any requested addresses: hostname "${hostname}" not found`,
      );
}

function yes(
  object: Condition["object"],
  type: Condition["type"],
  reason: string,
  message: string,
): Condition {
  return { object, type, status: "True", reason, message };
}

function no(
  object: Condition["object"],
  type: Condition["type"],
  reason: string,
  message: string,
): Condition {
  return { object, type, status: "False", reason, message };
}
