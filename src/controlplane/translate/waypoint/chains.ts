/** Filter chains: what happens to a connection to one port of a service, or to a workload itself. */
import type { FilterChainSchema } from "../../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import type { RouteConfigurationSchema } from "../../../shared/wire/gen/envoy/config/route/v3/route_pb.js";
import {
  HttpConnectionManager_CodecType,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManagerSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { TcpProxySchema } from "../../../shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { TcpProxySchema as TcpProxy } from "../../../shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { UuidRequestIdConfigSchema } from "../../../shared/wire/gen/envoy/extensions/request_id/uuid/v3/uuid_pb.js";
import {
  clientIdentityHeader,
  cors,
  dynamicForwardProxy,
  fault,
  grpcStats,
  grpcWeb,
  type HttpFilterInit,
  keepDestination,
  metadataExchange,
  type NetworkFilterInit,
  router,
  typed,
  upstreamPeer,
} from "./filters.ts";
import { isWildcard } from "./hosts.ts";
import type { Mesh } from "./mesh.ts";
import { SERVER_NAME } from "./names.ts";
import { forwardsClientIdentity } from "./node.ts";
import { isHttp2, type Protocol } from "./protocols.ts";
import type { SubjectParts } from "./subject.ts";
import { durationOf, type Init, maybeDuration, pack } from "./wire.ts";
import type { World } from "./world.ts";

export type FilterChainInit = Init<typeof FilterChainSchema>;
export type RouteConfigInit = Init<typeof RouteConfigurationSchema>;
export type TcpProxyInit = Init<typeof TcpProxySchema>;

export interface HttpChainRequest {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly routes: RouteConfigInit;
  /** Straight to a workload, whose address must survive the way. */
  readonly direct: boolean;
  /** Host of the service; "" for workloads. */
  readonly hostname: string;
}

export function httpChain(
  world: World,
  parts: SubjectParts,
  request: HttpChainRequest,
): FilterChainInit {
  const manager = typed(
    "envoy.filters.network.http_connection_manager",
    pack(HttpConnectionManagerSchema, connectionManager(world, parts, request)),
  );
  return {
    name: request.name,
    filters: request.direct ? [keepDestination, manager] : [manager],
  };
}

type ManagerInit = Init<typeof HttpConnectionManagerSchema>;

function connectionManager(
  { mesh, node }: World,
  parts: SubjectParts,
  { port, protocol, routes, hostname }: HttpChainRequest,
): ManagerInit {
  const idleTimeout = maybeDuration(node.idleTimeoutMs);
  const forwards = forwardsClientIdentity(node);
  const { tracing, useRequestIdForSampling } = parts.tracing;
  const filters: HttpFilterInit[] = [
    ...(forwards ? [clientIdentityHeader] : []),
    ...parts.httpPolicies,
    ...(protocol === "GRPC-Web" ? [grpcWeb] : []),
    grpcStats,
    fault,
    cors,
    ...(isWildcard(hostname) ? [dynamicForwardProxy(hostname, node)] : []),
    upstreamPeer,
    ...parts.stats,
    router,
  ];
  return {
    codecType: HttpConnectionManager_CodecType.AUTO,
    statPrefix: `inbound_0.0.0.0_${port};`,
    routeSpecifier: { case: "routeConfig", value: routes },
    httpFilters: filters,
    accessLog: parts.streamLogs,
    ...(tracing === undefined ? {} : { tracing }),
    ...(isHttp2(protocol) ? { http2ProtocolOptions: {} } : {}),
    ...(node.acceptsHttp10 ? { httpProtocolOptions: { acceptHttp10: true } } : {}),
    ...(idleTimeout === undefined ? {} : { commonHttpProtocolOptions: { idleTimeout } }),
    ...(forwards
      ? {
          forwardClientCertDetails:
            HttpConnectionManager_ForwardClientCertDetails.ALWAYS_FORWARD_ONLY,
        }
      : {}),
    serverName: SERVER_NAME,
    useRemoteAddress: false,
    proxy100Continue: true,
    upgradeConfigs: [{ upgradeType: "websocket" }],
    streamIdleTimeout: durationOf(0),
    requestIdExtension: {
      typedConfig: pack(UuidRequestIdConfigSchema, {
        useRequestIdForTraceSampling: useRequestIdForSampling,
      }),
    },
    ...normalization(mesh),
  };
}

const { KEEP_UNCHANGED, UNESCAPE_AND_FORWARD } = HttpConnectionManager_PathWithEscapedSlashesAction;

function normalization({ normalization: mode }: Mesh): Partial<ManagerInit> {
  const slashes = mode === "MERGE_SLASHES" || mode === "DECODE_AND_MERGE_SLASHES";
  return {
    normalizePath: mode !== "NONE",
    mergeSlashes: slashes,
    pathWithEscapedSlashesAction:
      mode === "DECODE_AND_MERGE_SLASHES" ? UNESCAPE_AND_FORWARD : KEEP_UNCHANGED,
  };
}

export interface TcpChainRequest {
  readonly name: string;
  readonly proxy: TcpProxyInit;
  readonly direct: boolean;
}

export function tcpChain(
  parts: SubjectParts,
  { name, proxy, direct }: TcpChainRequest,
): FilterChainInit {
  const filters: NetworkFilterInit[] = [
    ...(direct ? [keepDestination] : []),
    metadataExchange,
    ...parts.tcpPolicies,
    ...parts.stats,
    typed(
      "envoy.filters.network.tcp_proxy",
      pack(TcpProxy, { ...proxy, accessLog: parts.streamLogs }),
    ),
  ];
  return { name, filters };
}
