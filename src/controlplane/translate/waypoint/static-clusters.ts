/** The clusters that every waypoint has: the hops of tunnels through its own listeners. */
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  type ClusterSchema,
} from "../../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { HttpProtocolOptionsSchema } from "../../../shared/wire/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { Mesh } from "./mesh.ts";
import {
  CONNECT_ORIGINATE,
  ENCAP,
  HBONE_PORT,
  INNER_CONNECT_ORIGINATE,
  MAIN_INTERNAL,
  ORIGINAL_DST_METADATA,
  OUTER_CONNECT_ORIGINATE,
  statName,
} from "./names.ts";
import type { WaypointNode } from "./node.ts";
import { tunnelTls } from "./tls.ts";
import { internalSocket, rawBuffer, type TransportSocket, tlsSocket } from "./transport.ts";
import { durationOf, type Init, pack } from "./wire.ts";

export type ClusterInit = Init<typeof ClusterSchema>;

const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const UNLIMITED = 4_294_967_295;
const CLEANUP_MS = 60_000;
const FIVE_MINUTES_MS = 300_000;

export const unlimited = {
  maxConnections: UNLIMITED,
  maxPendingRequests: UNLIMITED,
  maxRequests: UNLIMITED,
  maxRetries: UNLIMITED,
} as const;

/** The message demands a protocol: HTTP/1.1 is the default where nothing says another one. */
const http1 = {
  case: "explicitHttpConfig",
  value: { protocolConfig: { case: "httpProtocolOptions", value: {} } },
} as const;

export function httpOptions(options: Init<typeof HttpProtocolOptionsSchema>) {
  const complete = { upstreamProtocolOptions: http1, ...options };
  return { [HTTP_OPTIONS]: pack(HttpProtocolOptionsSchema, complete) };
}

/** Whatever the client speaks. */
export const asDownstream = {
  case: "useDownstreamProtocolConfig",
  value: { httpProtocolOptions: {}, http2ProtocolOptions: {} },
} as const;

export function staticClusters(mesh: Mesh, node: WaypointNode): readonly ClusterInit[] {
  const narrowed = `spiffe://${mesh.trustDomain}/ns/${node.namespace}/sa/`;
  const within = httpOptions({
    commonHttpProtocolOptions: { idleTimeout: durationOf(FIVE_MINUTES_MS) },
    upstreamProtocolOptions: asDownstream,
  });
  return [
    intoListener(MAIN_INTERNAL, MAIN_INTERNAL, internalSocket(rawBuffer), within),
    intoListener(ENCAP, CONNECT_ORIGINATE, internalSocket(rawBuffer), within),
    toTunnel(CONNECT_ORIGINATE, mesh, {
      tls: tlsSocket("tls", { commonTlsContext: tunnelTls(mesh, [narrowed]) }),
      http: connectOptions(mesh, false),
      // The address of a waypoint in front of the endpoint, where there is one.
      metadataKey: {
        key: ORIGINAL_DST_METADATA,
        path: [{ segment: { case: "key", value: "waypoint" } }],
      },
    }),
    intoListener(
      INNER_CONNECT_ORIGINATE,
      OUTER_CONNECT_ORIGINATE,
      internalSocket(
        tlsSocket("tls", { commonTlsContext: tunnelTls(mesh) }),
        "internal_upstream_with_tls",
      ),
      connectOptions(mesh, true),
    ),
    toTunnel(OUTER_CONNECT_ORIGINATE, mesh, {
      tls: tlsSocket("tls", { commonTlsContext: tunnelTls(mesh) }),
      http: connectOptions(mesh, true),
    }),
  ];
}

function connectOptions(mesh: Mesh, onlyOnce: boolean) {
  return httpOptions({
    commonHttpProtocolOptions: {
      idleTimeout: durationOf(mesh.hboneIdleTimeoutMs),
      ...(onlyOnce ? { maxRequestsPerConnection: 1 } : {}),
    },
    upstreamProtocolOptions: {
      case: "explicitHttpConfig",
      value: {
        protocolConfig: { case: "http2ProtocolOptions", value: { allowConnect: true } },
      },
    },
  });
}

function intoListener(
  name: string,
  listener: string,
  transportSocket: TransportSocket,
  http: ReturnType<typeof httpOptions>,
): ClusterInit {
  return {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    circuitBreakers: { thresholds: [unlimited] },
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            {
              hostIdentifier: {
                case: "endpoint",
                value: {
                  address: {
                    address: {
                      case: "envoyInternalAddress",
                      value: {
                        addressNameSpecifier: { case: "serverListenerName", value: listener },
                      },
                    },
                  },
                },
              },
            },
          ],
        },
      ],
    },
    transportSocket,
    altStatName: statName(name),
    typedExtensionProtocolOptions: http,
  };
}

interface Tunnel {
  readonly tls: TransportSocket;
  readonly http: ReturnType<typeof httpOptions>;
  readonly metadataKey?: {
    key: string;
    path: { segment: { case: "key"; value: string } }[];
  };
}

/** To the port for tunnels of whichever address the connection is for. */
function toTunnel(name: string, mesh: Mesh, { tls, http, metadataKey }: Tunnel): ClusterInit {
  return {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    connectTimeout: durationOf(mesh.connectTimeoutMs),
    cleanupInterval: durationOf(CLEANUP_MS),
    circuitBreakers: { thresholds: [unlimited] },
    transportSocket: tls,
    altStatName: statName(name),
    typedExtensionProtocolOptions: http,
    lbConfig: {
      case: "originalDstLbConfig",
      value: {
        upstreamPortOverride: HBONE_PORT,
        ...(metadataKey === undefined ? {} : { metadataKey }),
      },
    },
  };
}
