/** Where a connection goes (ztunnel), and which route takes a request (waypoint). */
import { MeshStore } from "../../../shared/model/store.ts";
import type { Address, Service, Workload } from "../../../shared/model/workload.ts";
import { serviceKey } from "../../../shared/model/workload.ts";
import { ipOf } from "../../../shared/net/ip.ts";
import { Fields, type RequestHead } from "../../../waypoint/http/message.ts";
import type { Route } from "../../../waypoint/model/route.ts";
import { selectRoute } from "../../../waypoint/routing/select.ts";
import { routeTable, virtualHost } from "../../../waypoint/routing/table.ts";
import { decideOutbound, illegalPorts } from "../../../ztunnel/proxy/route.ts";
import { casesOf, type MicroCase, type Work } from "./measure.ts";

const PODS_PER_SERVICE = 5;

function hostnameOf(service: number): string {
  return `app-${service}.shop.svc.cluster.local`;
}

function podIp(index: number): string {
  return `10.${64 + (index >> 14)}.${(index >> 7) & 127}.${1 + (index & 127)}`;
}

function vipOf(service: number): string {
  return `10.112.${service >> 7}.${1 + (service & 127)}`;
}

function workload(index: number): Workload {
  const service = Math.floor(index / PODS_PER_SERVICE);
  const app = `app-${service}`;
  return {
    uid: `Kubernetes//Pod/shop/${app}-${index}`,
    name: `${app}-${index}`,
    namespace: "shop",
    addresses: [ipOf(podIp(index))],
    hostname: "",
    network: "",
    networkMode: "Standard",
    protocol: "HBONE",
    trustDomain: "cluster.local",
    serviceAccount: app,
    node: `node-${index % 50}`,
    canonicalName: app,
    canonicalRevision: "v1",
    workloadType: "deployment",
    workloadName: app,
    nativeTunnel: false,
    services: new Map([[serviceKey("shop", hostnameOf(service)), new Map([[80, 8080]])]]),
    authorizationPolicies: [],
    status: "Healthy",
    clusterId: "Kubernetes",
    locality: { region: "", zone: "", subzone: "" },
    capacity: 1,
  };
}

function service(index: number): Service {
  return {
    name: `app-${index}`,
    namespace: "shop",
    hostname: hostnameOf(index),
    vips: [{ network: "", ip: ipOf(vipOf(index)) }],
    cidrVips: [],
    ports: [{ servicePort: 80, targetPort: 8080, appProtocol: "HTTP11" }],
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: "Automatic",
    canonical: true,
    ingressUseWaypoint: false,
    visibility: "Public",
  };
}

function deciding(workloads: number): () => Work {
  return () => {
    const services = Math.ceil(workloads / PODS_PER_SERVICE);
    const records = Array.from({ length: workloads }, (_, index) => workload(index));
    const store = new MeshStore();
    store.apply({
      addresses: [
        ...records.map((each): Address => ({ kind: "workload", workload: each })),
        ...Array.from(
          { length: services },
          (_, index): Address => ({ kind: "service", service: service(index) }),
        ),
      ],
    });
    const source = workload(0);
    const context = {
      network: "",
      illegalPorts: illegalPorts({ socks5: false }),
      random: Math.random,
    };
    const destination = { ip: ipOf(vipOf(services >> 1)), port: 80 };
    const request = { source, sourceIp: ipOf(podIp(0)), destination };
    return (times) => {
      let direct = 0;
      for (let time = 0; time < times; time++)
        if (decideOutbound(store, context, request).kind === "hbone") direct++;
      return direct;
    };
  };
}

const unchanged = { set: [], remove: [] };

function route(index: number): Route {
  return {
    name: `route-${index}`,
    path: { kind: "prefix", value: `/area-${index}/`, caseSensitive: true },
    headers: [],
    query: [],
    metadata: [],
    grpcOnly: false,
    fraction: undefined,
    action: { kind: "direct", status: 200, body: "" },
    requestHeaders: unchanged,
    responseHeaders: unchanged,
    decoratorOperation: undefined,
    origin: undefined,
    perFilter: new Map(),
  };
}

const head: RequestHead = {
  method: "GET",
  scheme: "http",
  authority: "app.shop.svc.cluster.local",
  path: "/",
  fields: new Fields(["user-agent", "bench", "accept", "*/*", "x-user", "jason"]),
  upgrade: undefined,
};

function selecting(routes: number): () => Work {
  return () => {
    const all = Array.from({ length: routes }, (_, index) => route(index));
    const table = routeTable("table", [virtualHost("app", ["app.shop.svc.cluster.local"], all)]);
    // The last of them: the worst case of a search in order.
    const request = { ...head, path: `/area-${routes - 1}/item?id=7` };
    const facts = { random: Math.random, metadata: new Map() };
    return (times) => {
      let found = 0;
      for (let time = 0; time < times; time++)
        if (selectRoute(table, request, facts) !== undefined) found++;
      return found;
    };
  };
}

export const routeCases: readonly MicroCase[] = casesOf("routes", [
  ["ztunnel: where to, among 100 workloads", deciding(100)],
  ["ztunnel: where to, among 10000 workloads", deciding(10_000)],
  ["waypoint: the last of 10 routes", selecting(10)],
  ["waypoint: the last of 1000 routes", selecting(1_000)],
]);
