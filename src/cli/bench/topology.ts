/** The world of the benchmark: a client's pod on one node, a server's on the other, and room for proxies beside them. */
import type { PodSpec, TopologySpec } from "../world/topology.ts";

export const BENCH_NAMESPACE = "bench";
export const SYSTEM_NAMESPACE = "istio-system";
export const ZTUNNEL_SERVICE_ACCOUNT = "ztunnel";
export const WAYPOINT = "waypoint";

export const ports = {
  /** nginx, HTTP/1.1. */
  http: 7000,
  bulk: 7001,
  /** nginx, HTTP/2 in clear text. */
  http2: 7002,
  /** nginx, HTTP/1.1: for connections that stay idle. */
  idle: 7003,
  grpc: 7004,
} as const;

export const SERVER_IP = "10.96.0.21";
const WAYPOINT_IP = "10.96.0.22";

function pod(name: string, app: string, node: string): PodSpec {
  return {
    name,
    namespace: BENCH_NAMESPACE,
    app,
    version: "v1",
    serviceAccount: app,
    node,
    ports: {},
  };
}

function ztunnelPod(node: string): PodSpec {
  return {
    ...pod(`zt-${node.slice(-1)}`, "ztunnel", node),
    namespace: SYSTEM_NAMESPACE,
    serviceAccount: ZTUNNEL_SERVICE_ACCOUNT,
    labels: { "istio.io/dataplane-mode": "none" },
  };
}

export const benchTopology: TopologySpec = {
  nodes: ["node1", "node2"],
  pods: [
    pod("client", "client", "node1"),
    pod("server", "server", "node2"),
    {
      ...pod("waypoint", WAYPOINT, "node2"),
      labels: {
        "istio.io/dataplane-mode": "none",
        "gateway.networking.k8s.io/gateway-name": WAYPOINT,
      },
    },
    ztunnelPod("node1"),
    ztunnelPod("node2"),
  ],
  services: [
    {
      name: "server",
      namespace: BENCH_NAMESPACE,
      clusterIp: SERVER_IP,
      app: "server",
      ports: [
        { name: "http", port: ports.http, targetPort: ports.http },
        { name: "tcp-bulk", port: ports.bulk, targetPort: ports.bulk },
        { name: "http2", port: ports.http2, targetPort: ports.http2 },
        { name: "tcp-idle", port: ports.idle, targetPort: ports.idle },
        { name: "grpc", port: ports.grpc, targetPort: ports.grpc },
      ],
    },
    {
      name: WAYPOINT,
      namespace: BENCH_NAMESPACE,
      clusterIp: WAYPOINT_IP,
      app: WAYPOINT,
      ports: [{ name: "mesh", port: 15008, targetPort: 15008 }],
    },
  ],
};
