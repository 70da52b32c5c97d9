/** The listeners of a waypoint: where tunnels end, where their contents are judged, and where new ones begin. */
import { create } from "@bufbuild/protobuf";
import {
  HeaderValueOption_HeaderAppendAction,
  TrafficDirection,
} from "../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  type Listener,
  ListenerSchema,
} from "../../../shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import {
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManagerSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "../../../shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { DownstreamTlsContextSchema } from "../../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { type AccessLogInit, accessLogs } from "./access-log.ts";
import {
  connectAuthority,
  downstreamPeer,
  HBONE_TARGET,
  type NetworkFilterInit,
  originalDst,
  propagateEndpointMetadata,
  router,
  typed,
} from "./filters.ts";
import type { ListenerFilterInit } from "./inspectors.ts";
import { socketAddress } from "./load-assignment.ts";
import type { MatcherInit } from "./matching.ts";
import {
  CONNECT_ORIGINATE,
  CONNECT_TERMINATE,
  HBONE_PORT,
  INNER_CONNECT_ORIGINATE,
  MAIN_INTERNAL,
  OUTER_CONNECT_ORIGINATE,
  SERVER_NAME,
} from "./names.ts";
import { wildcardAddresses } from "./node.ts";
import type { ApplicableTelemetry } from "./telemetry.ts";
import { tunnelTls } from "./tls.ts";
import { durationOf, type Init, pack } from "./wire.ts";
import type { World } from "./world.ts";

type ListenerInit = Init<typeof ListenerSchema>;

const internal = { case: "internalListener", value: {} } as const;

/** Everything but the chains of the internal listener, which are made one by one. */
export interface MainListener {
  readonly listenerFilters: ListenerFilterInit[];
  readonly filterChainMatcher: MatcherInit;
}

/** `telemetry` is that of the waypoint itself. */
export function fixedListeners(world: World, telemetry: ApplicableTelemetry): readonly Listener[] {
  const { mesh, node } = world;
  const listenerLogs = accessLogs(mesh, telemetry, "listener");
  const originationLogs = accessLogs(mesh, telemetry, "origination");
  return [
    terminate(world, telemetry, listenerLogs),
    tunnelListener(CONNECT_ORIGINATE, listenerLogs, {
      accessLog: originationLogs,
      hostname: "%DOWNSTREAM_LOCAL_ADDRESS%",
    }),
    tunnelListener(INNER_CONNECT_ORIGINATE, listenerLogs, {
      accessLog: originationLogs,
      hostname: `%FILTER_STATE(${HBONE_TARGET}:PLAIN)%`,
      header: ["x-forwarded-network", node.network],
      first: propagateEndpointMetadata,
    }),
    tunnelListener(OUTER_CONNECT_ORIGINATE, listenerLogs, {
      accessLog: originationLogs,
      hostname: `%FILTER_STATE(${HBONE_TARGET}:PLAIN)%`,
      header: ["x-istio-source", "waypoint"],
    }),
  ];
}

/** Without its chains: they are appended as finished bytes. */
export function mainListener(
  { mesh }: World,
  telemetry: ApplicableTelemetry,
  main: MainListener,
): Listener {
  return create(ListenerSchema, {
    name: MAIN_INTERNAL,
    listenerSpecifier: internal,
    trafficDirection: TrafficDirection.INBOUND,
    accessLog: accessLogs(mesh, telemetry, "listener"),
    ...main,
  });
}

const MAX_STREAMS = 100;
const KEEPALIVE_INTERVAL_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

function terminate(
  world: World,
  telemetry: ApplicableTelemetry,
  accessLog: AccessLogInit[],
): Listener {
  const { mesh, node } = world;
  const [first = "0.0.0.0", ...others] = wildcardAddresses(node);
  const tls = pack(DownstreamTlsContextSchema, {
    commonTlsContext: tunnelTls(mesh),
    requireClientCertificate: true,
  });
  return create(ListenerSchema, {
    name: CONNECT_TERMINATE,
    address: socketAddress(first, HBONE_PORT),
    additionalAddresses: others.map((address) => ({ address: socketAddress(address, HBONE_PORT) })),
    // Few connections with many streams each: they must not all fall to one worker.
    connectionBalanceConfig: { balanceType: { case: "exactBalance", value: {} } },
    accessLog,
    filterChains: [
      {
        name: "default",
        transportSocket: { name: "tls", configType: { case: "typedConfig", value: tls } },
        filters: [
          typed(
            "envoy.filters.network.http_connection_manager",
            pack(HttpConnectionManagerSchema, terminatingManager(world, telemetry)),
          ),
        ],
      },
    ],
  });
}

function terminatingManager(
  { mesh, node }: World,
  telemetry: ApplicableTelemetry,
): Init<typeof HttpConnectionManagerSchema> {
  return {
    statPrefix: CONNECT_TERMINATE,
    routeSpecifier: {
      case: "routeConfig",
      value: {
        name: "default",
        virtualHosts: [
          {
            name: "default",
            domains: ["*"],
            routes: [
              {
                match: { pathSpecifier: { case: "connectMatcher", value: {} } },
                action: {
                  case: "route",
                  value: {
                    clusterSpecifier: { case: "cluster", value: MAIN_INTERNAL },
                    upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }],
                  },
                },
              },
            ],
          },
        ],
      },
    },
    accessLog: accessLogs(mesh, telemetry, "termination"),
    httpFilters: [downstreamPeer, connectAuthority(node), router],
    http2ProtocolOptions: {
      allowConnect: true,
      maxConcurrentStreams: MAX_STREAMS,
      connectionKeepalive: {
        interval: durationOf(KEEPALIVE_INTERVAL_MS),
        timeout: durationOf(KEEPALIVE_TIMEOUT_MS),
      },
    },
    serverName: SERVER_NAME,
    useRemoteAddress: false,
    forwardClientCertDetails: HttpConnectionManager_ForwardClientCertDetails.APPEND_FORWARD,
    setCurrentClientCertDetails: { subject: true, uri: true, dns: true },
    upgradeConfigs: [{ upgradeType: "CONNECT" }],
    streamIdleTimeout: durationOf(0),
  };
}

interface TunnelStart {
  readonly accessLog: AccessLogInit[];
  readonly hostname: string;
  readonly header?: readonly [key: string, value: string];
  readonly first?: NetworkFilterInit;
}

function tunnelListener(
  name: string,
  accessLog: AccessLogInit[],
  { accessLog: streamLog, hostname, header, first }: TunnelStart,
): Listener {
  const proxy = pack(TcpProxySchema, {
    statPrefix: name,
    clusterSpecifier: { case: "cluster", value: name },
    accessLog: streamLog,
    tunnelingConfig: { hostname, headersToAdd: header === undefined ? [] : [setHeader(header)] },
  });
  const filter = typed("envoy.filters.network.tcp_proxy", proxy);
  const init: ListenerInit = {
    name,
    useOriginalDst: false,
    listenerSpecifier: internal,
    // The inner tunnel has its destination by metadata of the endpoint alone.
    ...(first === undefined ? { listenerFilters: [originalDst] } : {}),
    filterChains: [{ filters: first === undefined ? [filter] : [first, filter] }],
    accessLog,
  };
  return create(ListenerSchema, init);
}

function setHeader([key, value]: readonly [key: string, value: string]) {
  return {
    header: { key, value },
    appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
  };
}
