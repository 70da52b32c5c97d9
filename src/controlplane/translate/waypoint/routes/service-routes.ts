/** All routes of one port of a service: those of every rule about it, in their order. */
import type {
  HttpMatchSpec,
  HttpRouteSpec,
} from "../../../../shared/objects/kinds/virtual-service.ts";
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
function routesOf(context: RouteContext): readonly RouteInit[] {
  const routes = candidates(context.source.http).flatMap(
    ({ rule, match }) => routeOf(context, rule, match) ?? [],
  );
  const last = routes.findIndex(({ match }) => match !== undefined && isCatchAll(match));
  return last < 0 ? routes : routes.slice(0, last + 1);
}

interface Candidate {
  readonly rule: HttpRouteSpec;
  readonly match: HttpMatchSpec | undefined;
}

/** A rule without a match takes everything, even where it cannot do anything with it. */
function candidates(rules: readonly HttpRouteSpec[]): readonly Candidate[] {
  const end = rules.findIndex(({ match }) => match.length === 0);
  const reached = end < 0 ? rules : rules.slice(0, end + 1);
  return reached.flatMap((rule): readonly Candidate[] =>
    rule.match.length === 0
      ? [{ rule, match: undefined }]
      : rule.match.filter((match) => !isDropped(match)).map((match) => ({ rule, match })),
  );
}

/** Labels of the client are not known here, so a match on them is none. */
function isDropped({ sourceLabels }: HttpMatchSpec): boolean {
  return Object.keys(sourceLabels).length > 0;
}
