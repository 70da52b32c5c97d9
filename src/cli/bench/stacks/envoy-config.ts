/**
 * Envoy beside a pod as sidecar meshes set it up: outbound and inbound listeners behind the pod's redirection, mutual TLS 1.3
 * between them, for HTTP ports the HTTP filters of such a mesh on both sides, RBAC and access log on.
 */
import { ports } from "../topology.ts";
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

export const OUTBOUND_PORT = 15001;
export const INBOUND_PORT = 15006;
/** Sockets of Envoy itself carry it, so that the redirection leaves them alone. */
export const SIDECAR_MARK = 0x539;

export interface SidecarSide {
  readonly certificate: CertificateFiles;
  /** SPIFFE identity that the other side must show. */
  readonly peer: string;
  readonly accessLog: string;
}

function accessLog(path: string): object[] {
  return [typed("file", "access_loggers.file.v3.FileAccessLog", { path })];
}

function rbacRules(peer: string): object {
  const principal = { authenticated: { principal_name: { exact: peer } } };
  return {
    action: "ALLOW",
    policies: { bench: { permissions: [{ any: true }], principals: [principal] } },
  };
}

function requestFilters(side: SidecarSide, cluster: string, inbound: boolean): object {
  const rbac = typed("rbac", "filters.http.rbac.v3.RBAC", { rules: rbacRules(side.peer) });
  return httpManager({
    stat_prefix: cluster,
    codec_type: "AUTO",
    access_log: accessLog(side.accessLog),
    http_filters: [...(inbound ? [rbac] : []), ...httpFilters],
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, route: { cluster, timeout: "0s" } }],
        },
      ],
    },
  });
}

function tcpFilters(side: SidecarSide, cluster: string, inbound: boolean): object[] {
  const rbac = typed("rbac", "filters.network.rbac.v3.RBAC", {
    stat_prefix: "tcp",
    rules: rbacRules(side.peer),
  });
  return [
    ...(inbound ? [rbac] : []),
    typed("tcp", "filters.network.tcp_proxy.v3.TcpProxy", {
      stat_prefix: cluster,
      cluster,
      access_log: accessLog(side.accessLog),
    }),
  ];
}

const http1Ports: readonly number[] = [ports.http, ports.idle];
const http2Ports: readonly number[] = [ports.http2, ports.grpc];

function listener(side: SidecarSide, inbound: boolean): object {
  const port = inbound ? INBOUND_PORT : OUTBOUND_PORT;
  const security = inbound
    ? {
        transport_socket: tlsSocket("DownstreamTlsContext", side.certificate, { exact: side.peer }),
      }
    : {};
  const chain = (destination: number, filters: object[]): object => ({
    filter_chain_match: { destination_port: destination },
    filters,
    ...security,
  });
  return {
    name: inbound ? "inbound" : "outbound",
    address: { socket_address: { address: "0.0.0.0", port_value: port } },
    traffic_direction: inbound ? "INBOUND" : "OUTBOUND",
    listener_filters: [originalDestination],
    filter_chains: [
      ...http1Ports.map((port) => chain(port, [requestFilters(side, "next-http", inbound)])),
      ...http2Ports.map((port) => chain(port, [requestFilters(side, "next-http2", inbound)])),
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
  const options = http === 2 ? { http2_protocol_options: {} } : { http_protocol_options: {} };
  return {
    name,
    type: "ORIGINAL_DST",
    lb_policy: "CLUSTER_PROVIDED",
    connect_timeout: "5s",
    ...(http === undefined ? {} : httpOptions({ explicit_http_config: options })),
    upstream_bind_config: {
      source_address: { address: "0.0.0.0", port_value: 0 },
      // SOL_SOCKET, SO_MARK
      socket_options: [{ level: 1, name: 36, int_value: SIDECAR_MARK, state: "STATE_PREBIND" }],
    },
    ...(inbound
      ? {}
      : {
          transport_socket: tlsSocket("UpstreamTlsContext", side.certificate, { exact: side.peer }),
        }),
  };
}

/** Bootstrap of the Envoy beside the client (`inbound` false) or beside the server. */
export function sidecarBootstrap(side: SidecarSide, inbound: boolean): object {
  return {
    admin,
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
