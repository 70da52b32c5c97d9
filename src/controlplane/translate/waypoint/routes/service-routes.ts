/** All routes of one port of a service: those of every rule about it, in their order. */
import type { HttpMatchSpec } from "../../../../shared/objects/kinds/virtual-service.ts";
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
    const matches = rule.match.length === 0 ? [undefined] : rule.match;
    for (const match of matches) {
      const route =
        match !== undefined && isDropped(match) ? undefined : routeOf(context, rule, match);
      if (route !== undefined) yield route;
      if (route?.match !== undefined && isCatchAll(route.match)) return;
    }
    if (rule.match.length === 0) return;
  }
}

/** Labels of the client are not known here, so a match on them is none. */
function isDropped({ sourceLabels }: HttpMatchSpec): boolean {
  return Object.keys(sourceLabels).length > 0;
}
