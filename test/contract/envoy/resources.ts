/** Pieces of Envoy configuration for HBONE in both roles. */
import type { WorkloadCertificate } from "../../../src/shared/identity/workload-certificate.ts";

export type KeyedCertificate = WorkloadCertificate & { readonly keyPem: string };

/** Window sizes that Envoy announces; its default is 16 MiB and 24 MiB. */
export interface Windows {
  readonly streamBytes: number;
  readonly connectionBytes: number;
}

/** The smallest that Envoy's configuration accepts. */
export const smallWindows: Windows = { streamBytes: 65_535, connectionBytes: 65_535 };

export interface Http2Options {
  readonly windows?: Windows;
  readonly maxStreams?: number;
}

const type = (name: string): string => `type.googleapis.com/${name}`;
const loopback = (port: number): object => ({
  socket_address: { address: "127.0.0.1", port_value: port },
});

function http2({ windows, maxStreams }: Http2Options): object {
  return {
    ...(windows === undefined
      ? {}
      : {
          initial_stream_window_size: windows.streamBytes,
          initial_connection_window_size: windows.connectionBytes,
        }),
    ...(maxStreams === undefined ? {} : { max_concurrent_streams: maxStreams }),
  };
}

function mutualTls(own: KeyedCertificate, peerUri: string): object {
  const chain = [own.leaf, ...own.intermediates].map(({ pem }) => pem).join("");
  return {
    alpn_protocols: ["h2"],
    tls_params: {
      tls_minimum_protocol_version: "TLSv1_3",
      tls_maximum_protocol_version: "TLSv1_3",
    },
    tls_certificates: [
      { certificate_chain: { inline_string: chain }, private_key: { inline_string: own.keyPem } },
    ],
    validation_context: {
      trusted_ca: { inline_string: own.roots.map(({ pem }) => pem).join("") },
      match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: peerUri } }],
    },
  };
}

function cluster(name: string, port: number, more: object = {}): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(port) } }] }],
    },
    ...more,
  };
}

export function plainCluster(name: string, port: number): object {
  return cluster(name, port);
}

/** HBONE towards `port`: HTTP/2 over mutual TLS, the peer's SPIFFE URI compared exactly. */
export function hboneCluster(
  name: string,
  port: number,
  own: KeyedCertificate,
  peerUri: string,
  options: Http2Options = {},
): object {
  return cluster(name, port, {
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": type("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
        common_tls_context: mutualTls(own, peerUri),
      },
    },
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": type("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"),
        explicit_http_config: { http2_protocol_options: http2(options) },
      },
    },
    circuit_breakers: {
      thresholds: [{ max_connections: 10_000, max_pending_requests: 10_000, max_requests: 10_000 }],
    },
  });
}

/** Takes plain TCP and carries each connection in a CONNECT to `authority`. */
export function tunnelingListener(
  name: string,
  clusterName: string,
  authority: string,
  headers: Readonly<Record<string, string>> = {},
): object {
  return {
    name,
    address: loopback(0),
    filter_chains: [
      {
        filters: [
          {
            name: "envoy.filters.network.tcp_proxy",
            typed_config: {
              "@type": type("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
              stat_prefix: name,
              cluster: clusterName,
              tunneling_config: {
                hostname: authority,
                headers_to_add: Object.entries(headers).map(([key, value]) => ({
                  header: { key, value },
                })),
              },
            },
          },
        ],
      },
    ],
  };
}

export interface TerminationOptions extends Http2Options {
  /** GOAWAY after this many requests on one connection. */
  readonly maxRequestsPerConnection?: number;
  /** From the first GOAWAY to the last one. */
  readonly drainTimeout?: string;
}

/** Terminates CONNECT on mutual TLS and copies each tunnel to the cluster. */
export function terminatingListener(
  name: string,
  clusterName: string,
  own: KeyedCertificate,
  peerUri: string,
  options: TerminationOptions = {},
): object {
  const { maxRequestsPerConnection, drainTimeout } = options;
  const manager = {
    "@type": type(
      "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    ),
    stat_prefix: name,
    codec_type: "HTTP2",
    http2_protocol_options: { allow_connect: true, ...http2(options) },
    ...(drainTimeout === undefined ? {} : { drain_timeout: drainTimeout }),
    ...(maxRequestsPerConnection === undefined
      ? {}
      : {
          common_http_protocol_options: {
            max_requests_per_connection: maxRequestsPerConnection,
          },
        }),
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [
            {
              match: { connect_matcher: {} },
              route: {
                cluster: clusterName,
                timeout: "0s",
                upgrade_configs: [{ upgrade_type: "CONNECT", connect_config: {} }],
              },
              response_headers_to_add: [{ header: { key: "baggage", value: "from=envoy" } }],
            },
          ],
        },
      ],
    },
    upgrade_configs: [{ upgrade_type: "CONNECT" }],
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": type("envoy.extensions.filters.http.router.v3.Router") },
      },
    ],
  };
  return {
    name,
    address: loopback(0),
    filter_chains: [
      {
        transport_socket: {
          name: "envoy.transport_sockets.tls",
          typed_config: {
            "@type": type("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
            require_client_certificate: true,
            common_tls_context: mutualTls(own, peerUri),
          },
        },
        filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }],
      },
    ],
  };
}
