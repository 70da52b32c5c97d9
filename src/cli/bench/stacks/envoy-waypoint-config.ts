/**
 * Envoy as a waypoint, as istiod configures it (test/golden: limits, keep-alives, timeouts, retries), with those filters that a
 * plain build has: HBONE ended, the request routed by header, RBAC by the client's identity, fault, CORS, gRPC statistics,
 * and HBONE again to the pod's node.
 */
import { BENCH_NAMESPACE, ports } from "../topology.ts";
import type { CertificateFiles } from "./certificates.ts";
import {
  admin,
  httpFilters,
  httpManager,
  httpOptions,
  originalDestination,
  tlsSocket,
  typed,
} from "./envoy-parts.ts";

const anyPeer = { prefix: "spiffe://cluster.local/" };
const alpn = ["h2"];

const PRINCIPAL = "io.istio.peer_principal";
const HASHABLE = "envoy.hashable_string";

function state(key: string, format: string, factory?: string): object {
  return {
    object_key: key,
    ...(factory === undefined ? {} : { factory_key: factory }),
    format_string: { text_format_source: { inline_string: format } },
    shared_with_upstream: "ONCE",
  };
}

function terminate(certificate: CertificateFiles): object {
  const route = {
    match: { connect_matcher: {} },
    route: {
      cluster: "main_internal",
      upgrade_configs: [{ upgrade_type: "CONNECT", connect_config: {} }],
    },
  };
  return {
    name: "connect_terminate",
    address: { socket_address: { address: "0.0.0.0", port_value: 15008 } },
    filter_chains: [
      {
        transport_socket: tlsSocket("DownstreamTlsContext", certificate, anyPeer, alpn),
        filters: [
          httpManager({
            stat_prefix: "connect_terminate",
            route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes: [route] }] },
            http2_protocol_options: {
              allow_connect: true,
              max_concurrent_streams: 100,
              connection_keepalive: { interval: "10s", timeout: "20s" },
            },
            server_name: "istio-envoy",
            use_remote_address: false,
            forward_client_cert_details: "APPEND_FORWARD",
            set_current_client_cert_details: { subject: true, dns: true, uri: true },
            upgrade_configs: [{ upgrade_type: "CONNECT" }],
            stream_idle_timeout: "0s",
            http_filters: [
              typed("state", "filters.http.set_filter_state.v3.Config", {
                on_request_headers: [
                  state("envoy.filters.listener.original_dst.local_ip", "%REQ(:AUTHORITY)%"),
                  state("io.istio.connect_authority", "%REQ(:AUTHORITY)%", HASHABLE),
                  state(
                    "envoy.filters.listener.original_dst.remote_ip",
                    "%DOWNSTREAM_REMOTE_ADDRESS%",
                  ),
                  state(PRINCIPAL, "%DOWNSTREAM_PEER_URI_SAN%", HASHABLE),
                  state("io.istio.local_principal", "%DOWNSTREAM_LOCAL_URI_SAN%", HASHABLE),
                ],
              }),
              typed("router", "filters.http.router.v3.Router"),
            ],
          }),
        ],
      },
    ],
  };
}

/** Where the port that a client asked for leads, and how the server behind it is spoken to. */
interface Served {
  readonly port: number;
  readonly protocol: "http1" | "http2" | "tcp";
}

const served: readonly Served[] = [
  { port: ports.http, protocol: "http1" },
  { port: ports.idle, protocol: "http1" },
  { port: ports.http2, protocol: "http2" },
  { port: ports.grpc, protocol: "http2" },
  { port: ports.bulk, protocol: "tcp" },
];

function clusterOf({ port }: Served): string {
  return `server-${port}`;
}

/** Only the client may pass. */
const rules = {
  action: "ALLOW",
  policies: {
    client: {
      permissions: [{ any: true }],
      principals: [
        {
          filter_state: {
            key: PRINCIPAL,
            string_match: { exact: `spiffe://cluster.local/ns/${BENCH_NAMESPACE}/sa/client` },
          },
        },
      ],
    },
  },
};

const retries = {
  retry_on: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
  num_retries: 2,
  retry_host_predicate: [typed("previous", "retry.host.previous_hosts.v3.PreviousHostsPredicate")],
  host_selection_retry_max_attempts: 5,
};

function requestFilters(target: Served): object {
  const routes = [
    {
      match: { prefix: "/", headers: [{ name: "x-bench", string_match: { exact: "other" } }] },
      direct_response: { status: 418 },
    },
    {
      match: { prefix: "/" },
      route: { cluster: clusterOf(target), timeout: "0s", retry_policy: retries },
      request_headers_to_add: [{ header: { key: "x-via", value: "waypoint" } }],
    },
  ];
  return httpManager({
    stat_prefix: "main",
    route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes }] },
    stream_idle_timeout: "0s",
    http_filters: [typed("rbac", "filters.http.rbac.v3.RBAC", { rules }), ...httpFilters],
  });
}

function tcpFilters(target: Served): readonly object[] {
  const proxy = { stat_prefix: "main", cluster: clusterOf(target) };
  return [
    typed("rbac", "filters.network.rbac.v3.RBAC", { stat_prefix: "main", rules }),
    typed("tcp", "filters.network.tcp_proxy.v3.TcpProxy", proxy),
  ];
}

function main(): object {
  return {
    name: "main_internal",
    internal_listener: {},
    listener_filters: [originalDestination],
    filter_chains: served.map((target) => ({
      filter_chain_match: { destination_port: target.port },
      filters: target.protocol === "tcp" ? tcpFilters(target) : [requestFilters(target)],
    })),
  };
}

function originate(): object {
  return {
    name: "connect_originate",
    internal_listener: {},
    use_original_dst: false,
    listener_filters: [originalDestination],
    filter_chains: [
      {
        filters: [
          typed("tcp", "filters.network.tcp_proxy.v3.TcpProxy", {
            stat_prefix: "connect_originate",
            cluster: "connect_originate",
            tunneling_config: { hostname: "%DOWNSTREAM_LOCAL_ADDRESS%" },
          }),
        ],
      },
    ],
  };
}

/** Envoy's own limit is 1024 of each: inner connections beyond that would wait forever. */
const UNLIMITED = 4_294_967_295;
const limits = {
  circuit_breakers: {
    thresholds: [
      {
        max_connections: UNLIMITED,
        max_pending_requests: UNLIMITED,
        max_requests: UNLIMITED,
        max_retries: UNLIMITED,
      },
    ],
  },
};

function internal(
  name: string,
  listener: string,
  endpoint: object,
  passthrough: readonly object[],
): object {
  return {
    name,
    type: "STATIC",
    ...limits,
    transport_socket: typed(
      "internal",
      "transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
      {
        passthrough_metadata: passthrough,
        transport_socket: typed("raw", "transport_sockets.raw_buffer.v3.RawBuffer"),
      },
    ),
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: {
                address: {
                  envoy_internal_address: { server_listener_name: listener, endpoint_id: name },
                },
              },
              ...endpoint,
            },
          ],
        },
      ],
    },
  };
}

const ORIGINAL_DST = "envoy.filters.listener.original_dst";

function serverCluster(target: Served, serverIp: string): object {
  const local = `${serverIp}:${target.port}`;
  const metadata = { filter_metadata: { [ORIGINAL_DST]: { local } } };
  const passthrough = [{ kind: { host: {} }, name: ORIGINAL_DST }];
  const cluster = {
    ...internal(clusterOf(target), "connect_originate", { metadata }, passthrough),
    connect_timeout: "10s",
    lb_policy: "LEAST_REQUEST",
    common_lb_config: { healthy_panic_threshold: {} },
  };
  if (target.protocol !== "http2") return cluster;
  return { ...cluster, ...httpOptions({ explicit_http_config: { http2_protocol_options: {} } }) };
}

/** Bootstrap of the Envoy in the waypoint's pod; `serverIp` is the server's pod. */
export function waypointBootstrap(certificate: CertificateFiles, serverIp: string): object {
  return {
    admin,
    bootstrap_extensions: [
      typed("internal_listener", "bootstrap.internal_listener.v3.InternalListener", {
        buffer_size_kb: 64,
      }),
    ],
    static_resources: {
      listeners: [terminate(certificate), main(), originate()],
      clusters: [
        {
          ...internal("main_internal", "main_internal", {}, []),
          ...httpOptions({
            common_http_protocol_options: { idle_timeout: "300s" },
            use_downstream_protocol_config: {
              http_protocol_options: {},
              http2_protocol_options: {},
            },
          }),
        },
        ...served.map((target) => serverCluster(target, serverIp)),
        {
          name: "connect_originate",
          type: "ORIGINAL_DST",
          lb_policy: "CLUSTER_PROVIDED",
          connect_timeout: "10s",
          cleanup_interval: "60s",
          ...limits,
          original_dst_lb_config: { upstream_port_override: 15008 },
          transport_socket: tlsSocket("UpstreamTlsContext", certificate, anyPeer, alpn),
          ...httpOptions({
            common_http_protocol_options: { idle_timeout: "3600s" },
            explicit_http_config: { http2_protocol_options: { allow_connect: true } },
          }),
        },
      ],
    },
  };
}
