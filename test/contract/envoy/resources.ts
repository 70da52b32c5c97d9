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

/** `10.0.0.1:15008`; port 0 takes a free one. */
function socketAddress(at: string): object {
  const [address, port] = at.split(":");
  return { socket_address: { address, port_value: Number(port) } };
}

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

/** `to` is a port on loopback or an address with a port. */
function cluster(name: string, to: number | string, more: object = {}): object {
  const at = typeof to === "number" ? `127.0.0.1:${to}` : to;
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(at) } }] }],
    },
    ...more,
  };
}

export function plainCluster(name: string, to: number | string): object {
  return cluster(name, to);
}

export interface HboneClusterOptions extends Http2Options {
  /** Own address of the connections. */
  readonly sourceIp?: string;
}

/** HBONE: HTTP/2 over mutual TLS, the peer's SPIFFE URI compared exactly. */
export function hboneCluster(
  name: string,
  to: number | string,
  own: KeyedCertificate,
  peerUri: string,
  options: HboneClusterOptions = {},
): object {
  const { sourceIp } = options;
  return cluster(name, to, {
    ...(sourceIp === undefined
      ? {}
      : { upstream_bind_config: { source_address: { address: sourceIp, port_value: 0 } } }),
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
    address: socketAddress("127.0.0.1:0"),
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
  /** Where to listen, in place of a free port on loopback. */
  readonly at?: string;
  /** File for one line of JSON for each finished tunnel. */
  readonly accessLog?: string;
}

/** What Envoy itself says it has seen of a tunnel. */
export interface AccessLogLine {
  readonly authority: string;
  readonly method: string;
  readonly status: number;
  readonly peer: string;
  readonly baggage: string;
  readonly forwarded: string;
  readonly traceparent: string;
  readonly tlsVersion: string;
  readonly cipher: string;
}

const accessLogFormat: Readonly<Record<keyof AccessLogLine, string>> = {
  authority: "%REQ(:AUTHORITY)%",
  method: "%REQ(:METHOD)%",
  status: "%RESPONSE_CODE%",
  peer: "%DOWNSTREAM_PEER_URI_SAN%",
  baggage: "%REQ(BAGGAGE)%",
  forwarded: "%REQ(FORWARDED)%",
  traceparent: "%REQ(TRACEPARENT)%",
  tlsVersion: "%DOWNSTREAM_TLS_VERSION%",
  cipher: "%DOWNSTREAM_TLS_CIPHER%",
};

function accessLog(path: string): object {
  return {
    name: "envoy.access_loggers.file",
    typed_config: {
      "@type": type("envoy.extensions.access_loggers.file.v3.FileAccessLog"),
      path,
      log_format: { json_format: accessLogFormat },
    },
  };
}

/** Terminates CONNECT on mutual TLS and copies each tunnel to the cluster. */
export function terminatingListener(
  name: string,
  clusterName: string,
  own: KeyedCertificate,
  peerUri: string,
  options: TerminationOptions = {},
): object {
  const { maxRequestsPerConnection, drainTimeout, at = "127.0.0.1:0" } = options;
  const manager = {
    "@type": type(
      "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    ),
    stat_prefix: name,
    codec_type: "HTTP2",
    http2_protocol_options: { allow_connect: true, ...http2(options) },
    ...(options.accessLog === undefined ? {} : { access_log: [accessLog(options.accessLog)] }),
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
    address: socketAddress(at),
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

/** A listener inside Envoy that answers every request by itself, with so many octets. */
export function answeringInnerListener(name: string, bytes: number): object {
  const route = {
    match: { prefix: "/" },
    direct_response: { status: 200, body: { inline_string: "x".repeat(bytes) } },
  };
  const manager = {
    "@type": type(
      "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    ),
    stat_prefix: name,
    // The end right behind the answer, so that both can be in one read.
    delayed_close_timeout: "0s",
    route_config: {
      max_direct_response_body_size_bytes: bytes,
      virtual_hosts: [{ name: "all", domains: ["*"], routes: [route] }],
    },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": type("envoy.extensions.filters.http.router.v3.Router") },
      },
    ],
  };
  return {
    name,
    internal_listener: {},
    filter_chains: [
      {
        filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }],
      },
    ],
  };
}

/** Leads to the inner listener of the same name. */
export function innerCluster(name: string): object {
  const address = { envoy_internal_address: { server_listener_name: name } };
  return {
    name,
    type: "STATIC",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
  };
}
