/** The authorizers of the mesh configuration, as the filters that ask them. */
import type {
  ExtAuthzGrpcProvider,
  ExtAuthzHttpProvider,
  ExtensionProvider,
} from "../../../../shared/objects/kinds/mesh-config.ts";
import { ApiVersion } from "../../../../shared/wire/gen/envoy/config/core/v3/config_source_pb.js";
import type { ExtAuthzSchema as HttpExtAuthzSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import type { ExtAuthzSchema as TcpExtAuthzSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import type { ListStringMatcherSchema } from "../../../../shared/wire/gen/envoy/type/matcher/v3/string_pb.js";
import { StatusCode } from "../../../../shared/wire/gen/envoy/type/v3/http_status_pb.js";
import type { Mesh } from "../mesh.ts";
import { findProviderService, type ProviderService } from "../providers.ts";
import type { ServiceDirectory } from "../services.ts";
import { byText, durationOf, type Init } from "../wire.ts";
import { TCP_STAT_PREFIX } from "./authorization.ts";
import { exactMatcher, prefixMatcher, suffixMatcher } from "./patterns.ts";

type HttpInit = Init<typeof HttpExtAuthzSchema>;

export interface Authorizer {
  readonly http: HttpInit;
  /** Undefined for one that speaks HTTP, and so knows nothing of connections. */
  readonly tcp: Init<typeof TcpExtAuthzSchema> | undefined;
}

const DEFAULT_TIMEOUT_MS = 600_000;

/** Undefined for one that is not there, not an authorizer, or not valid. */
export function findAuthorizer(
  { providers }: Mesh,
  services: ServiceDirectory,
  name: string,
): Authorizer | undefined {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return undefined;
  const found = providers.filter((provider) => provider.name === name && isAuthorizer(provider));
  const [provider] = found;
  // One name for two authorizers is no name for any of them.
  if (provider === undefined || found.length > 1) return undefined;
  const spec = provider.envoyExtAuthzHttp ?? provider.envoyExtAuthzGrpc;
  if (spec === undefined || spec.port === 0) return undefined;
  const service = findProviderService(services, spec.service, spec.port);
  const status = statusOf(spec.statusOnError);
  if (typeof service === "string" || status === "unknown") return undefined;
  const common = {
    ...(status === undefined ? {} : { statusOnError: { code: status } }),
    failureModeAllow: spec.failOpen,
    clearRouteCache: spec.clearRouteCache,
    transportApiVersion: ApiVersion.V3,
    ...(spec.includeRequestBodyInCheck === undefined
      ? {}
      : { withRequestBody: { ...spec.includeRequestBodyInCheck } }),
  };
  if (provider.envoyExtAuthzHttp !== undefined)
    return overHttp(provider.envoyExtAuthzHttp, service, common);
  return provider.envoyExtAuthzGrpc && overGrpc(provider.envoyExtAuthzGrpc, service, common);
}

function isAuthorizer({ envoyExtAuthzHttp, envoyExtAuthzGrpc }: ExtensionProvider): boolean {
  return envoyExtAuthzHttp !== undefined || envoyExtAuthzGrpc !== undefined;
}

function statusOf(text: string): StatusCode | "unknown" | undefined {
  if (text === "") return undefined;
  return /^\d+$/.test(text) && StatusCode[Number(text)] !== undefined ? Number(text) : "unknown";
}

function overHttp(
  spec: ExtAuthzHttpProvider,
  { hostname, cluster }: ProviderService,
  common: HttpInit,
): Authorizer | undefined {
  const { headersToUpstreamOnAllow, headersToDownstreamOnDeny, headersToDownstreamOnAllow } = spec;
  const answered = [
    headersToUpstreamOnAllow,
    headersToDownstreamOnDeny,
    headersToDownstreamOnAllow,
  ];
  const asked = [spec.includeRequestHeadersInCheck, spec.includeHeadersInCheck];
  if (spec.pathPrefix !== "" && !spec.pathPrefix.startsWith("/")) return undefined;
  if ([...answered, ...asked].some((headers) => headers.includes("*"))) return undefined;
  const allowedHeaders =
    headerMatchers(spec.includeRequestHeadersInCheck) ?? headerMatchers(spec.includeHeadersInCheck);
  const headersToAdd = Object.entries(spec.includeAdditionalHeadersInCheck)
    .sort(([a], [b]) => byText(a, b))
    .map(([key, value]) => ({ key, value }));
  const upstream = headerMatchers(headersToUpstreamOnAllow);
  const denied = headerMatchers(headersToDownstreamOnDeny);
  const allowed = headerMatchers(headersToDownstreamOnAllow);
  return {
    tcp: undefined,
    http: {
      ...common,
      ...(allowedHeaders === undefined ? {} : { allowedHeaders }),
      services: {
        case: "httpService",
        value: {
          pathPrefix: spec.pathPrefix,
          serverUri: {
            timeout: durationOf(spec.timeout ?? DEFAULT_TIMEOUT_MS),
            // Demanded by the message, and read by nobody.
            uri: `http://${hostname}`,
            httpUpstreamType: { case: "cluster", value: cluster },
          },
          ...(headersToAdd.length === 0 ? {} : { authorizationRequest: { headersToAdd } }),
          ...(answered.every((headers) => headers.length === 0)
            ? {}
            : {
                authorizationResponse: {
                  ...(upstream === undefined ? {} : { allowedUpstreamHeaders: upstream }),
                  ...(denied === undefined ? {} : { allowedClientHeaders: denied }),
                  ...(allowed === undefined ? {} : { allowedClientHeadersOnSuccess: allowed }),
                },
              }),
        },
      },
    },
  };
}

function overGrpc(
  spec: ExtAuthzGrpcProvider,
  { hostname, cluster }: ProviderService,
  common: HttpInit,
): Authorizer {
  const grpcService = {
    targetSpecifier: {
      case: "envoyGrpc",
      value: { clusterName: cluster, authority: hostname },
    },
    timeout: durationOf(spec.timeout ?? DEFAULT_TIMEOUT_MS),
  } as const;
  return {
    http: { ...common, services: { case: "grpcService", value: grpcService } },
    tcp: {
      statPrefix: TCP_STAT_PREFIX,
      failureModeAllow: spec.failOpen,
      transportApiVersion: ApiVersion.V3,
      grpcService,
    },
  };
}

function headerMatchers(
  headers: readonly string[],
): Init<typeof ListStringMatcherSchema> | undefined {
  if (headers.length === 0) return undefined;
  return {
    patterns: headers.map((header) => {
      if (header.startsWith("*")) return suffixMatcher(header.slice(1), true);
      return header.endsWith("*")
        ? prefixMatcher(header.slice(0, -1), true)
        : exactMatcher(header, true);
    }),
  };
}
