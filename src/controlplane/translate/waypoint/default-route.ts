/** The routes of a port that no rule says anything about. */
import type { RetrySpec } from "../../../shared/objects/kinds/virtual-service.ts";
import type { RouteConfigInit } from "./chains.ts";
import { hashPolicy } from "./hashing.ts";
import { retryPolicy } from "./retry.ts";
import type { L7Service } from "./services.ts";
import { durationOf } from "./wire.ts";
import { inboundRule, type World } from "./world.ts";

const MAX_DIRECT_RESPONSE_BYTES = 1_048_576;

export interface DefaultRouteRequest {
  readonly clusterName: string;
  readonly port: number;
  readonly service: L7Service | undefined;
}

export function defaultRoutes(
  world: World,
  { clusterName, port, service }: DefaultRouteRequest,
): RouteConfigInit {
  const hash =
    service &&
    hashPolicy(inboundRule(world, service)?.spec.trafficPolicy?.loadBalancer?.consistentHash);
  const retry = retryPolicy(defaultRetry(world), false);
  return {
    name: clusterName,
    validateClusters: false,
    maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BYTES,
    virtualHosts: [
      {
        name: `inbound|http|${port}`,
        domains: domainsOf(service),
        routes: [
          {
            name: "default",
            match: { pathSpecifier: { case: "prefix", value: "/" } },
            decorator: { operation: `${service?.hostname ?? ""}:${port}/*` },
            action: {
              case: "route",
              value: {
                clusterSpecifier: { case: "cluster", value: clusterName },
                timeout: durationOf(0),
                maxGrpcTimeout: durationOf(0),
                ...(retry === undefined ? {} : { retryPolicy: retry }),
                hashPolicy: hash === undefined ? [] : [hash],
              },
            },
          },
        ],
      },
    ],
  };
}

function defaultRetry({ mesh }: World): RetrySpec | undefined {
  return mesh.defaultRetry;
}

/** The address has chosen the service already; only a wildcard must be held to its names. */
export function domainsOf(service: L7Service | undefined): string[] {
  return service?.resolution === "DynamicDns" ? [service.hostname] : ["*"];
}
