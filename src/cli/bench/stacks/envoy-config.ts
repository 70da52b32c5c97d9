/**
 * Envoy beside a pod as sidecar meshes set it up: outbound and inbound listeners behind the pod's redirection, mutual TLS 1.3
 * between them, for HTTP ports the HTTP filters of such a mesh on both sides, RBAC and access log on.
 */
import { ports } from "../topology.ts";
import type { CertificateFiles } from "./certificates.ts";

export const OUTBOUND_PORT = 15001;
export const INBOUND_PORT = 15006;
/** Sockets of Envoy itself carry it, so that the redirection leaves them alone. */
export const SIDECAR_MARK = 0x539;

export interface SidecarSide {
  readonly certificate: CertificateFiles;
  /** SPIFFE identity that the other side must show. */
  readonly peer: string;
  readonly accessLog: string;
  readonly adminPort: number;
}

const extension = "type.googleapis.com/envoy.extensions";

function accessLog(path: string): object[] {
  return [
    {
      name: "file",
      typed_config: { "@type": `${extension}.access_loggers.file.v3.FileAccessLog`, path },
    },
  ];
}

function rbacRules(peer: string | undefined): object {
  const principal =
    peer === undefined ? { any: true } : { authenticated: { principal_name: { exact: peer } } };
  return {
    action: "ALLOW",
    policies: { bench: { permissions: [{ any: true }], principals: [principal] } },
  };
}

function httpFilters(peer: string | undefined): object[] {
  const filter = (name: string, type: string, config: object = {}): object => ({
    name,
    typed_config: { "@type": `${extension}.filters.http.${type}`, ...config },
  });
  return [
    ...(peer === undefined ? [] : [filter("rbac", "rbac.v3.RBAC", { rules: rbacRules(peer) })]),
    filter("grpc_stats", "grpc_stats.v3.FilterConfig", { emit_filter_state: true }),
    filter("fault", "fault.v3.HTTPFault"),
    filter("cors", "cors.v3.Cors"),
    filter("router", "router.v3.Router"),
  ];
}

function httpManager(side: SidecarSide, cluster: string, inbound: boolean): object {
  return {
    name: "http",
    typed_config: {
      "@type": `${extension}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: cluster,
      codec_type: "AUTO",
      access_log: accessLog(side.accessLog),
      http_filters: httpFilters(inbound ? side.peer : undefined),
      route_config: {
        virtual_hosts: [
          {
            name: "all",
            domains: ["*"],
            routes: [{ match: { prefix: "/" }, route: { cluster, timeout: "0s" } }],
          },
        ],
      },
    },
  };
}

function tcpFilters(side: SidecarSide, cluster: string, inbound: boolean): object[] {
  const network = `${extension}.filters.network`;
  const rbac = {
    name: "rbac",
    typed_config: {
      "@type": `${network}.rbac.v3.RBAC`,
      stat_prefix: "tcp",
      rules: rbacRules(side.peer),
    },
  };
  return [
    ...(inbound ? [rbac] : []),
    {
      name: "tcp",
      typed_config: {
        "@type": `${network}.tcp_proxy.v3.TcpProxy`,
        stat_prefix: cluster,
        cluster,
        access_log: accessLog(side.accessLog),
      },
    },
  ];
}

function tls(side: SidecarSide, context: "UpstreamTlsContext" | "DownstreamTlsContext"): object {
  const file = (filename: string): object => ({ filename });
  return {
    name: "tls",
    typed_config: {
      "@type": `${extension}.transport_sockets.tls.v3.${context}`,
      ...(context === "DownstreamTlsContext" ? { require_client_certificate: true } : {}),
      common_tls_context: {
        tls_params: {
          tls_minimum_protocol_version: "TLSv1_3",
          tls_maximum_protocol_version: "TLSv1_3",
        },
        tls_certificates: [
          {
            certificate_chain: file(side.certificate.chain),
            private_key: file(side.certificate.key),
          },
        ],
        validation_context: {
          trusted_ca: file(side.certificate.root),
          match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: side.peer } }],
        },
      },
    },
  };
}

const http1Ports: readonly number[] = [ports.http, ports.idle];
const http2Ports: readonly number[] = [ports.http2, ports.grpc];

function listener(side: SidecarSide, inbound: boolean): object {
  const port = inbound ? INBOUND_PORT : OUTBOUND_PORT;
  const security = inbound ? { transport_socket: tls(side, "DownstreamTlsContext") } : {};
  const chain = (destination: number, filters: object[]): object => ({
    filter_chain_match: { destination_port: destination },
    filters,
    ...security,
  });
  return {
    name: inbound ? "inbound" : "outbound",
    address: { socket_address: { address: "0.0.0.0", port_value: port } },
    traffic_direction: inbound ? "INBOUND" : "OUTBOUND",
    listener_filters: [
      {
        name: "original_dst",
        typed_config: { "@type": `${extension}.filters.listener.original_dst.v3.OriginalDst` },
      },
    ],
    filter_chains: [
      ...http1Ports.map((port) => chain(port, [httpManager(side, "next-http", inbound)])),
      ...http2Ports.map((port) => chain(port, [httpManager(side, "next-http2", inbound)])),
      chain(ports.bulk, tcpFilters(side, "next-tcp", inbound)),
    ],
  };
}

/** Where the connection was going: the other side's Envoy for the client's, the application for the server's. */
function cluster(
  side: SidecarSide,
  name: string,
  inbound: boolean,
  http: 1 | 2 | undefined,
): object {
  const options = {
    "@type": `${extension}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config:
      http === 2 ? { http2_protocol_options: {} } : { http_protocol_options: {} },
  };
  return {
    name,
    type: "ORIGINAL_DST",
    lb_policy: "CLUSTER_PROVIDED",
    connect_timeout: "5s",
    ...(http === undefined
      ? {}
      : {
          typed_extension_protocol_options: {
            [`envoy.extensions.upstreams.http.v3.HttpProtocolOptions`]: options,
          },
        }),
    upstream_bind_config: {
      source_address: { address: "0.0.0.0", port_value: 0 },
      // SOL_SOCKET, SO_MARK
      socket_options: [{ level: 1, name: 36, int_value: SIDECAR_MARK, state: "STATE_PREBIND" }],
    },
    ...(inbound ? {} : { transport_socket: tls(side, "UpstreamTlsContext") }),
  };
}

/** Bootstrap of the Envoy beside the client (`inbound` false) or beside the server. */
export function sidecarBootstrap(side: SidecarSide, inbound: boolean): object {
  return {
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: side.adminPort } } },
    static_resources: {
      listeners: [listener(side, inbound)],
      clusters: [
        cluster(side, "next-http", inbound, 1),
        cluster(side, "next-http2", inbound, 2),
        cluster(side, "next-tcp", inbound, undefined),
      ],
    },
  };
}

/** The pod's redirection: outgoing connections at the client, incoming ones at the server. */
export function sidecarRules(inbound: boolean): string {
  const all = Object.values(ports).join(", ");
  const hook = inbound ? "prerouting" : "output";
  const target = inbound ? INBOUND_PORT : OUTBOUND_PORT;
  return `table ip sidecar {
  chain ${hook} {
    type nat hook ${hook} priority -100; policy accept;
    meta mark ${SIDECAR_MARK} return
    tcp dport { ${all} } redirect to :${target}
  }
}
`;
}
