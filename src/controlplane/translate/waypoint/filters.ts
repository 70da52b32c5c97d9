/** Filters that stand in every waypoint's listeners with always the same content. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { FilterSchema as ClusterFilterSchema } from "../../../shared/wire/gen/envoy/config/cluster/v3/filter_pb.js";
import { HeaderValueOption_HeaderAppendAction } from "../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import type { FilterSchema } from "../../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import { FilterStateValue_SharedWithUpstream } from "../../../shared/wire/gen/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js";
import { CorsSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { FilterConfigSchema as DynamicForwardProxySchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js";
import { HTTPFaultSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { FilterConfigSchema as GrpcStatsSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js";
import { GrpcWebSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import { HeaderMutationSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { RouterSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { ConfigSchema as HttpFilterStateSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { HttpInspectorSchema } from "../../../shared/wire/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { OriginalDstSchema } from "../../../shared/wire/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { TlsInspectorSchema } from "../../../shared/wire/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import type { HttpFilterSchema } from "../../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { ConfigSchema as NetworkFilterStateSchema } from "../../../shared/wire/gen/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js";
import { TypedStructSchema } from "../../../shared/wire/gen/udpa/type/v1/typed_struct_pb.js";
import { dnsCacheName, lookupFamily } from "./dns.ts";
import { isAtLeast, type WaypointNode } from "./node.ts";
import { type Init, pack } from "./wire.ts";

export type HttpFilterInit = Init<typeof HttpFilterSchema>;
export type NetworkFilterInit = Init<typeof FilterSchema>;

type Packed = ReturnType<typeof pack>;

export function typed(name: string, value: Packed) {
  return { name, configType: { case: "typedConfig", value } } as const;
}

/** For filters that only the reference's build has: their content as plain data. */
function typedStruct(name: string, typeName: string, value: JsonObject) {
  return typed(name, structOf(typeName, value));
}

function structOf(typeName: string, value: JsonObject): Packed {
  return pack(TypedStructSchema, { typeUrl: `type.googleapis.com/${typeName}`, value });
}

const { ONCE, TRANSITIVE } = FilterStateValue_SharedWithUpstream;

interface StateValue {
  readonly key: string;
  readonly text: string;
  /** Values that tell connections apart must be hashable, else connections of different peers are shared. */
  readonly hashable?: boolean;
  readonly transitive?: boolean;
}

function stateValue({ key, text, hashable, transitive }: StateValue, factory: string) {
  return {
    key: { case: "objectKey", value: key },
    value: {
      case: "formatString",
      value: {
        format: {
          case: "textFormatSource",
          value: { specifier: { case: "inlineString", value: text } },
        },
      },
    },
    sharedWithUpstream: transitive === true ? TRANSITIVE : ONCE,
    ...(hashable === true ? { factoryKey: factory } : {}),
  } as const;
}

const ORIGINAL_DST_LOCAL = "envoy.filters.listener.original_dst.local_ip";
export const PEER_PRINCIPAL = "io.istio.peer_principal";
const LOCAL_PRINCIPAL = "io.istio.local_principal";

const tunnelState: readonly StateValue[] = [
  { key: ORIGINAL_DST_LOCAL, text: "%REQ(:AUTHORITY)%" },
  { key: "io.istio.connect_authority", text: "%REQ(:AUTHORITY)%", hashable: true },
  {
    key: "envoy.filters.listener.original_dst.remote_ip",
    text: "%DOWNSTREAM_REMOTE_ADDRESS%",
  },
  { key: PEER_PRINCIPAL, text: "%DOWNSTREAM_PEER_URI_SAN%", hashable: true },
  { key: LOCAL_PRINCIPAL, text: "%DOWNSTREAM_LOCAL_URI_SAN%", hashable: true },
];

/** Keeps what the tunnel says about its ends for the connection inside it. */
export function connectAuthority(node: WaypointNode): HttpFilterInit {
  // Proxies before 1.29.2 know the general factory only.
  const factory = isAtLeast(node, 1, 29, 2) ? "istio.hashable_string" : "envoy.string";
  const onRequestHeaders = tunnelState.map((value) => stateValue(value, factory));
  return typed("connect_authority", pack(HttpFilterStateSchema, { onRequestHeaders }));
}

export const keepDestination: NetworkFilterInit = typed(
  "connect_authority",
  pack(NetworkFilterStateSchema, {
    onNewConnection: [
      stateValue(
        { key: ORIGINAL_DST_LOCAL, text: `%FILTER_STATE(${ORIGINAL_DST_LOCAL}:PLAIN)%` },
        "",
      ),
    ],
  }),
);

export const HBONE_TARGET = "istio.double_hbone.hbone_target_address";

export const propagateEndpointMetadata: NetworkFilterInit = typed(
  "propagate_endpoint_metadata",
  pack(NetworkFilterStateSchema, {
    onNewConnection: [
      stateValue(
        {
          key: ORIGINAL_DST_LOCAL,
          text: "%DYNAMIC_METADATA(envoy.filters.listener.original_dst:local)%",
          transitive: true,
        },
        "",
      ),
      stateValue(
        {
          key: HBONE_TARGET,
          text: "%DYNAMIC_METADATA(istio:double_hbone:hbone_target_address)%",
          transitive: true,
          hashable: true,
        },
        "istio.hashable_string",
      ),
    ],
  }),
);

const PEER_METADATA = "io.istio.http.peer_metadata.Config";
const discovery = [{ workload_discovery: {} }];

export const downstreamPeer: HttpFilterInit = typedStruct(
  "waypoint_downstream_peer_metadata",
  PEER_METADATA,
  { downstream_discovery: discovery, shared_with_upstream: true },
);

export const upstreamPeer: HttpFilterInit = typedStruct(
  "waypoint_upstream_peer_metadata",
  PEER_METADATA,
  { upstream_discovery: discovery },
);

const exchange = {
  typeName: "envoy.tcp.metadataexchange.config.MetadataExchange",
  config: { protocol: "istio-peer-exchange", enable_discovery: true },
} as const;

export const metadataExchange: NetworkFilterInit = typedStruct(
  "istio.metadata_exchange",
  exchange.typeName,
  exchange.config,
);

/** The same at the other end, for clusters. */
export const metadataExchangeConfig: Init<typeof ClusterFilterSchema> = {
  name: "istio.metadata_exchange",
  typedConfig: structOf(exchange.typeName, exchange.config),
};

export const router: HttpFilterInit = typed("envoy.filters.http.router", pack(RouterSchema));

export const grpcWeb: HttpFilterInit = typed("envoy.filters.http.grpc_web", pack(GrpcWebSchema));

export const grpcStats: HttpFilterInit = typed(
  "envoy.filters.http.grpc_stats",
  pack(GrpcStatsSchema, {
    emitFilterState: true,
    perMethodStatSpecifier: { case: "statsForAllMethods", value: { value: false } },
  }),
);

/** Empty: what a route says about it counts. */
export const fault: HttpFilterInit = typed("envoy.filters.http.fault", pack(HTTPFaultSchema));
export const cors: HttpFilterInit = typed("envoy.filters.http.cors", pack(CorsSchema));

export function dynamicForwardProxy(hostname: string, node: WaypointNode): HttpFilterInit {
  const value = { name: dnsCacheName(hostname), dnsLookupFamily: lookupFamily(node) };
  return typed(
    "envoy.filters.http.dynamic_forward_proxy",
    pack(DynamicForwardProxySchema, {
      implementationSpecifier: { case: "dnsCacheConfig", value },
    }),
  );
}

/** Tells the application who its client is, in the words of the tunnel. */
export const clientIdentityHeader: HttpFilterInit = typed(
  "istio.waypoint.xfcc_client_identity",
  pack(HeaderMutationSchema, {
    mutations: {
      requestMutations: [
        {
          action: {
            case: "append",
            value: {
              header: {
                key: "x-forwarded-client-cert",
                value: `By=%FILTER_STATE(${LOCAL_PRINCIPAL}:PLAIN)%;URI=%FILTER_STATE(${PEER_PRINCIPAL}:PLAIN)%`,
              },
              appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
            },
          },
        },
      ],
    },
  }),
);

export const originalDst = typed("envoy.filters.listener.original_dst", pack(OriginalDstSchema));

export const httpInspector = typed(
  "envoy.filters.listener.http_inspector",
  pack(HttpInspectorSchema),
);

export const tlsInspector = typed(
  "envoy.filters.listener.tls_inspector",
  pack(TlsInspectorSchema, { initialReadBufferSize: 512 }),
);
