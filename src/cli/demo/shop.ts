/** The shop: who runs where in the demo, and under which service addresses. */
import type { PodSpec, TopologySpec } from "../world/topology.ts";
import { DATABASE_PORT, ECHO_PORT, HTTP_PORT } from "./apps/protocol.ts";

export const SHOP_NAMESPACE = "shop";
export const LEGACY_NAMESPACE = "legacy";
export const SYSTEM_NAMESPACE = "istio-system";
/** The service account of the node proxies, which may ask for their pods' certificates. */
export const ZTUNNEL_SERVICE_ACCOUNT = "ztunnel";

const appPorts = { http: HTTP_PORT, echo: ECHO_PORT };

function shopPod(name: string, app: string, version: string, node: string): PodSpec {
  return {
    name,
    namespace: SHOP_NAMESPACE,
    app,
    version,
    serviceAccount: app,
    node,
    ports: app === "db" ? { ...appPorts, sql: DATABASE_PORT } : appPorts,
  };
}

/** Every ztunnel has a namespace of its own, as its pod has in a cluster; the second one of a node is for its successor. */
function ztunnelPod(node: string, slot: string): PodSpec {
  return {
    name: `zt-${node.slice(-1)}${slot}`,
    namespace: SYSTEM_NAMESPACE,
    app: "ztunnel",
    version: "v1",
    serviceAccount: ZTUNNEL_SERVICE_ACCOUNT,
    node,
    ports: {},
    labels: { "istio.io/dataplane-mode": "none" },
  };
}

export const WAYPOINT = "waypoint";
/** The second one is for the successor, or stands beside the first. */
export const WAYPOINT_SLOTS: readonly [first: string, second: string] = ["wp-a", "wp-b"];

function waypointPod(name: string, node: string): PodSpec {
  return {
    name,
    namespace: SHOP_NAMESPACE,
    app: WAYPOINT,
    version: "v1",
    serviceAccount: WAYPOINT,
    node,
    ports: {},
    labels: {
      "istio.io/dataplane-mode": "none",
      "gateway.networking.k8s.io/gateway-name": WAYPOINT,
    },
  };
}

/** Whether one of the mesh's own proxies runs in the pod, not an application of the shop. */
export function isProxyPod({ app }: Pick<PodSpec, "app">): boolean {
  return app === "ztunnel" || app === WAYPOINT;
}

export const NODES: readonly string[] = ["node1", "node2"];
const ZTUNNEL_SLOTS: readonly string[] = ["a", "b"];

export const shop: TopologySpec = {
  nodes: NODES,
  pods: [
    shopPod("web", "web", "v1", "node1"),
    shopPod("orders", "orders", "v1", "node1"),
    shopPod("catalog-v1", "catalog", "v1", "node1"),
    shopPod("catalog-v2", "catalog", "v2", "node2"),
    shopPod("db", "db", "v1", "node2"),
    {
      ...shopPod("legacy", "legacy", "v1", "node1"),
      namespace: LEGACY_NAMESPACE,
    },
    ...NODES.flatMap((node) => ZTUNNEL_SLOTS.map((slot) => ztunnelPod(node, slot))),
    waypointPod(WAYPOINT_SLOTS[0], "node1"),
    waypointPod(WAYPOINT_SLOTS[1], "node2"),
  ],
  services: [
    {
      name: "catalog",
      namespace: SHOP_NAMESPACE,
      clusterIp: "10.96.0.11",
      app: "catalog",
      ports: [{ name: "http", port: 80, targetPort: "http" }],
    },
    {
      name: "orders",
      namespace: SHOP_NAMESPACE,
      clusterIp: "10.96.0.12",
      app: "orders",
      ports: [{ name: "http", port: 80, targetPort: HTTP_PORT }],
    },
    {
      name: "db",
      namespace: SHOP_NAMESPACE,
      clusterIp: "10.96.0.13",
      app: "db",
      ports: [
        { name: "tcp-sql", port: DATABASE_PORT, targetPort: "sql" },
        { name: "tcp-echo", port: ECHO_PORT, targetPort: ECHO_PORT },
      ],
    },
    {
      name: "legacy",
      namespace: LEGACY_NAMESPACE,
      clusterIp: "10.96.0.14",
      app: "legacy",
      ports: [{ name: "http", port: 80, targetPort: HTTP_PORT }],
    },
    {
      name: WAYPOINT,
      namespace: SHOP_NAMESPACE,
      clusterIp: "10.96.0.15",
      app: WAYPOINT,
      ports: [{ name: "mesh", port: 15008, targetPort: 15008 }],
    },
  ],
};

/** The virtual address of a service of the shop. */
export function serviceIp(name: string): string {
  const service = shop.services.find((candidate) => candidate.name === name);
  if (service === undefined) throw new RangeError(`no service "${name}" in the shop`);
  return service.clusterIp;
}
