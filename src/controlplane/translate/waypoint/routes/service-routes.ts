/** All routes of one port of a service: those of every rule about it, in their order. */
import type { RouteConfigInit } from "../chains.ts";
import { defaultRoutes, domainsOf } from "../default-route.ts";
import type { L7Service } from "../services.ts";
import type { World } from "../world.ts";
import { isCatchAll } from "./match.ts";
import { type RouteContext, type RouteInit, routeOf } from "./route.ts";
import type { RouteSource } from "./sources.ts";

export interface ServicePort {
  readonly clusterName: string;
  readonly port: number;
  readonly service: L7Service;
}

export function serviceRoutes(
  world: World,
  sources: readonly RouteSource[],
  { clusterName, port, service }: ServicePort,
): RouteConfigInit {
  const routes = sources.flatMap((source) => [...routesOf({ world, source, listenerPort: port })]);
  if (routes.length === 0) return defaultRoutes(world, { clusterName, port, service });
  return {
    name: clusterName,
    validateClusters: false,
    virtualHosts: [{ name: `inbound|http|${port}`, domains: domainsOf(service), routes }],
  };
}

/** Up to the first one that takes everything. */
function* routesOf(context: RouteContext): Iterable<RouteInit> {
  for (const rule of context.source.http) {
    if (rule.match.length === 0) {
      const route = routeOf(context, rule, undefined);
      if (route !== undefined) yield route;
      return;
    }
    for (const match of rule.match) {
      // Labels of the client are not known here, so a match on them is none.
      if (Object.keys(match.sourceLabels).length > 0) continue;
      const route = routeOf(context, rule, match);
      if (route === undefined) continue;
      yield route;
      if (route.match !== undefined && isCatchAll(route.match)) return;
    }
  }
}
