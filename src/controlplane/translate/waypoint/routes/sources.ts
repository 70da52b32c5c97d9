/** Routing rules of every kind in one form, in the order in which they count. */
import type { VirtualServiceSpec } from "../../../../shared/objects/kinds/virtual-service.ts";
import { hostsMatch } from "../hosts.ts";
import type { WaypointNode } from "../node.ts";
import type { L7Service } from "../services.ts";
import { byText } from "../wire.ts";

type Routes = Pick<VirtualServiceSpec, "http" | "tls" | "tcp">;

/** A VirtualService, or one made of routes of the Gateway API; names of hosts are whole. */
export interface RouteSource extends Routes {
  readonly name: string;
  readonly namespace: string;
  readonly createdAt: string;
  /** Of the Gateway API: prefixes end at slashes, and a cluster that is not there is an error of the server. */
  readonly gatewayApi: boolean;
  readonly hosts: readonly string[];
  /** Namespaces; `*` for all. */
  readonly exportTo: readonly string[];
}

export function byCreationAndName(a: RouteSource, b: RouteSource): number {
  return (
    byText(a.createdAt, b.createdAt) || byText(a.name, b.name) || byText(a.namespace, b.namespace)
  );
}

export class RouteTable {
  readonly #sources: readonly RouteSource[];

  /** `sources` are for the mesh; those for gateways alone are left out before. */
  constructor(sources: readonly RouteSource[]) {
    this.#sources = [...sources].sort(byCreationAndName);
  }

  /** Only the service's owner and the waypoint's owner have a say. */
  forService(service: L7Service, node: WaypointNode): readonly RouteSource[] {
    return this.#inOrder(
      this.#sources.filter(
        ({ namespace, hosts, exportTo }) =>
          (namespace === node.namespace || namespace === service.namespace) &&
          (exportTo.includes("*") || exportTo.includes(node.namespace)) &&
          hosts.some((host) => hostsMatch(host, service.hostname)),
      ),
      node,
    );
  }

  /** What is kept to the waypoint's namespace counts before what is shown to it, and that before what all see. */
  #inOrder(sources: readonly RouteSource[], node: WaypointNode): readonly RouteSource[] {
    const rank = ({ namespace, exportTo, gatewayApi }: RouteSource): number => {
      const reach = exportTo.includes("*") ? 2 : namespace === node.namespace ? 0 : 1;
      return reach * 2 + (gatewayApi && namespace === node.namespace ? 0 : 1);
    };
    return [...sources].sort((a, b) => rank(a) - rank(b));
  }

  /** Hosts that traffic for this host may be sent to. */
  destinationsFor(host: string): ReadonlySet<string> {
    const found = new Set<string>();
    for (const source of this.#sources) {
      if (!source.hosts.includes(host)) continue;
      for (const destination of destinationsOf(source)) found.add(destination);
    }
    return found;
  }
}

function* destinationsOf({ http, tls, tcp }: Routes): Iterable<string> {
  for (const route of http) {
    for (const { destination } of route.route) yield destination.host;
    if (route.mirror !== undefined) yield route.mirror.host;
    for (const { destination } of route.mirrors)
      if (destination !== undefined) yield destination.host;
  }
  for (const { route } of [...tls, ...tcp])
    for (const { destination } of route) yield destination.host;
}
