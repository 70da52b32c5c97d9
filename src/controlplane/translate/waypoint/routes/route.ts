/** One route: a match of a rule, and what is done with the requests that it takes. */
import type {
  HttpDestinationSpec,
  HttpMatchSpec,
  HttpRouteSpec,
} from "../../../../shared/objects/kinds/virtual-service.ts";
import {
  RouteAction_ClusterNotFoundResponseCode,
  type RouteActionSchema,
  type RouteSchema,
  type WeightedCluster_ClusterWeightSchema,
} from "../../../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import { hashPolicy } from "../hashing.ts";
import { configPath } from "../metadata.ts";
import { parseClusterName } from "../names.ts";
import { retryPolicy } from "../retry.ts";
import { durationOf, filterMetadata, type Init } from "../wire.ts";
import type { World } from "../world.ts";
import { directResponse, redirectAction } from "./answers.ts";
import { destinationCluster, destinationHash } from "./destination.ts";
import { corsConfig, faultConfig } from "./filters.ts";
import { type HeaderOperations, headerOperations, type TranslatedHeaders } from "./headers.ts";
import { type RouteMatchInit, routeMatch } from "./match.ts";
import { mirrorPolicies } from "./mirrors.ts";
import { rewriteOf } from "./rewrite.ts";
import type { RouteSource } from "./sources.ts";

export type RouteInit = Init<typeof RouteSchema>;
type ActionInit = Init<typeof RouteActionSchema>;
type ClusterWeightInit = Init<typeof WeightedCluster_ClusterWeightSchema>;

const { INTERNAL_SERVER_ERROR } = RouteAction_ClusterNotFoundResponseCode;

export interface RouteContext {
  readonly world: World;
  readonly source: RouteSource;
  readonly listenerPort: number;
}

/** Undefined when the match cannot be met by what passes here. */
export function routeOf(
  context: RouteContext,
  rule: HttpRouteSpec,
  match: HttpMatchSpec | undefined,
): RouteInit | undefined {
  const { world, source, listenerPort } = context;
  if (match !== undefined && !isMet(match, world, listenerPort)) return undefined;
  const made = routeMatch(match, source.gatewayApi);
  const { action, operations } = actionOf(context, rule, made, headerOperations(rule.headers));
  const filters = filterConfigs(rule);
  return {
    name: match === undefined || match.name === "" ? rule.name : `${rule.name}.${match.name}`,
    match: made,
    metadata: filterMetadata({
      istio: { config: configPath("virtual-service", source.namespace, source.name) },
    }),
    ...(match === undefined || match.statPrefix === "" ? {} : { statPrefix: match.statPrefix }),
    decorator: { operation: operationName(made, action, source.name, listenerPort) },
    ...operations,
    ...(action === undefined ? {} : { action }),
    ...(filters === undefined ? {} : { typedPerFilterConfig: filters }),
  };
}

/** The waypoint's own namespace is what `sourceNamespace` is compared with: the reference knows no other here. */
function isMet(match: HttpMatchSpec, { node }: World, listenerPort: number): boolean {
  if (match.port !== undefined && match.port !== 0 && match.port !== listenerPort) return false;
  if (match.gateways.length > 0) return match.gateways.includes("mesh");
  return match.sourceNamespace === "" || match.sourceNamespace === node.namespace;
}

type Action = NonNullable<RouteInit["action"]>;

interface ActionResult {
  readonly action: Action | undefined;
  readonly operations: HeaderOperations;
}

function actionOf(
  context: RouteContext,
  rule: HttpRouteSpec,
  match: RouteMatchInit,
  { operations, authority }: TranslatedHeaders,
): ActionResult {
  if (rule.redirect !== undefined)
    return { action: redirectAction(rule.redirect, context.listenerPort), operations };
  if (rule.directResponse !== undefined)
    return { action: directResponse(rule.directResponse), operations };
  return forwardAction(context, rule, match, { operations, authority });
}

function forwardAction(
  context: RouteContext,
  rule: HttpRouteSpec,
  match: RouteMatchInit,
  ofRule: TranslatedHeaders,
): ActionResult {
  const { world, source } = context;
  const timeout = durationOf(rule.timeout ?? 0);
  const single = rule.route.length === 1 ? rule.route[0] : undefined;
  const target =
    single === undefined
      ? weighted(context, rule.route, ofRule.operations)
      : toOne(context, single, ofRule.operations);
  const hashed = single !== undefined && destinationHash(world, single.destination) !== undefined;
  const retry = retryPolicy(rule.retries ?? world.mesh.defaultRetry, hashed);
  const authority = rule.rewrite?.authority || ofRule.authority || target.authority;
  const action: ActionInit = {
    timeout,
    maxGrpcTimeout: timeout,
    ...(source.gatewayApi ? { clusterNotFoundResponseCode: INTERNAL_SERVER_ERROR } : {}),
    clusterSpecifier: target.clusterSpecifier,
    hashPolicy: target.used.flatMap(
      ({ destination }) => hashPolicy(destinationHash(world, destination)) ?? [],
    ),
    requestMirrorPolicies: mirrorPolicies(context, rule),
    ...(retry === undefined ? {} : { retryPolicy: retry }),
    ...rewriteOf(rule.rewrite, match, source.gatewayApi),
    ...(authority === ""
      ? {}
      : { hostRewriteSpecifier: { case: "hostRewriteLiteral", value: authority } }),
  };
  return { action: { case: "route", value: action }, operations: target.operations };
}

interface Target {
  readonly clusterSpecifier: NonNullable<ActionInit["clusterSpecifier"]>;
  readonly used: readonly HttpDestinationSpec[];
  readonly operations: HeaderOperations;
  /** Only where there is one destination can its word about the host be the route's. */
  readonly authority: string;
}

/** What one destination says about headers is the route's own business. */
function toOne(
  { world, listenerPort }: RouteContext,
  single: HttpDestinationSpec,
  ofRule: HeaderOperations,
): Target {
  const { operations, authority } = headerOperations(single.headers);
  const value = destinationCluster(world, single.destination, listenerPort);
  return {
    clusterSpecifier: { case: "cluster", value },
    used: [single],
    authority,
    operations: joined(ofRule, operations),
  };
}

function joined(a: HeaderOperations, b: HeaderOperations): HeaderOperations {
  return {
    requestHeadersToAdd: [...a.requestHeadersToAdd, ...b.requestHeadersToAdd],
    requestHeadersToRemove: [...a.requestHeadersToRemove, ...b.requestHeadersToRemove],
    responseHeadersToAdd: [...a.responseHeadersToAdd, ...b.responseHeadersToAdd],
    responseHeadersToRemove: [...a.responseHeadersToRemove, ...b.responseHeadersToRemove],
  };
}

/** Among several, those without weight get nothing. */
function weighted(
  { world, listenerPort }: RouteContext,
  destinations: readonly HttpDestinationSpec[],
  operations: HeaderOperations,
): Target {
  const used = destinations.filter(({ weight }) => weight !== 0);
  const clusters = used.map(({ destination, weight, headers }): ClusterWeightInit => {
    const own = headerOperations(headers);
    return {
      name: destinationCluster(world, destination, listenerPort),
      weight,
      ...own.operations,
      ...(own.authority === ""
        ? {}
        : { hostRewriteSpecifier: { case: "hostRewriteLiteral", value: own.authority } }),
    };
  });
  return {
    clusterSpecifier: { case: "weightedClusters", value: { clusters } },
    used,
    operations,
    authority: "",
  };
}

function filterConfigs({ fault, corsPolicy }: HttpRouteSpec): RouteInit["typedPerFilterConfig"] {
  if (fault === undefined && corsPolicy === undefined) return undefined;
  const injected = fault && faultConfig(fault);
  return {
    ...(injected === undefined ? {} : { "envoy.filters.http.fault": injected }),
    ...(corsPolicy === undefined ? {} : { "envoy.filters.http.cors": corsConfig(corsPolicy) }),
  };
}

/** The name of spans: where it goes, or what sends it there. */
function operationName(
  { pathSpecifier }: RouteMatchInit,
  action: Action | undefined,
  sourceName: string,
  listenerPort: number,
): string {
  const path = pathText(pathSpecifier);
  const cluster =
    action?.case === "route" && action.value.clusterSpecifier?.case === "cluster"
      ? parseClusterName(action.value.clusterSpecifier.value)
      : undefined;
  return cluster === undefined
    ? `${sourceName}:${listenerPort}${path}`
    : `${cluster.hostname}:${cluster.port}${path}`;
}

function pathText(path: RouteMatchInit["pathSpecifier"]): string {
  switch (path?.case) {
    case "prefix":
      return `${path.value}*`;
    case "path":
      return path.value;
    case "safeRegex":
      return path.value.regex ?? "";
    default:
      return "/*";
  }
}
