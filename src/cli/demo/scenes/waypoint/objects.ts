/** The objects of the second act: the waypoint itself, and what is asked of it. */
import type { KubernetesObject } from "../../../world/objects.ts";
import { LEGACY_NAMESPACE, SHOP_NAMESPACE, SYSTEM_NAMESPACE, WAYPOINT } from "../../shop.ts";

type Spec = Readonly<Record<string, unknown>>;

export const TRACE_PROVIDER = "collector";

/** Access logs as JSON, and a collector of spans, which is played by the application outside the mesh. */
const meshConfig = {
  accessLogFile: "/dev/stdout",
  accessLogEncoding: "JSON",
  extensionProviders: [
    {
      name: TRACE_PROVIDER,
      zipkin: { service: `legacy.${LEGACY_NAMESPACE}.svc.cluster.local`, port: 80 },
    },
  ],
};

export const waypointObjects: readonly KubernetesObject[] = [
  {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: WAYPOINT, namespace: SHOP_NAMESPACE },
    spec: {
      gatewayClassName: "istio-waypoint",
      listeners: [{ name: "mesh", port: 15008, protocol: "HBONE" }],
    },
  },
  {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "istio", namespace: SYSTEM_NAMESPACE },
    data: { mesh: JSON.stringify(meshConfig) },
  },
];

function object(apiVersion: string, kind: string, name: string, spec: Spec): KubernetesObject {
  return { apiVersion, kind, metadata: { name, namespace: SHOP_NAMESPACE }, spec };
}

/** Sends nothing but what `mark` says back to the client, by which it can tell whose route it got. */
export const ROUTE_MARK = "x-shop-route";

/** Every answer carries the mark, also an answer of the waypoint's own. */
export function virtualService(
  host: string,
  mark: string,
  http: readonly Spec[],
): KubernetesObject {
  return object("networking.istio.io/v1", "VirtualService", host, {
    hosts: [host],
    http: http.map((route) => ({
      headers: { response: { set: { [ROUTE_MARK]: mark } } },
      ...route,
    })),
  });
}

export function destinationRule(host: string, spec: Spec): KubernetesObject {
  return object("networking.istio.io/v1", "DestinationRule", host, { host, ...spec });
}

export const catalogVersions = destinationRule("catalog", {
  subsets: ["v1", "v2"].map((version) => ({ name: version, labels: { version } })),
});

/** Shares of the catalog's versions; nothing goes to one whose share is 0. */
export function shares(v1: number, v2: number): readonly Spec[] {
  return [
    { destination: { host: "catalog", subset: "v1" }, weight: v1 },
    { destination: { host: "catalog", subset: "v2" }, weight: v2 },
  ].filter(({ weight }) => weight > 0);
}

export const toCatalog: readonly Spec[] = [{ destination: { host: "catalog" } }];

function targeting(service: string): Spec {
  return { targetRefs: [{ kind: "Service", group: "", name: service }] };
}

export function servicePolicy(name: string, service: string, spec: Spec): KubernetesObject {
  return object("security.istio.io/v1", "AuthorizationPolicy", name, {
    ...targeting(service),
    ...spec,
  });
}

export function requestAuthentication(service: string, rules: readonly Spec[]): KubernetesObject {
  return object("security.istio.io/v1", "RequestAuthentication", service, {
    ...targeting(service),
    jwtRules: rules,
  });
}

export const traceEverything = object("telemetry.istio.io/v1", "Telemetry", "trace-everything", {
  targetRefs: [{ kind: "Gateway", group: "gateway.networking.k8s.io", name: WAYPOINT }],
  tracing: [{ providers: [{ name: TRACE_PROVIDER }], randomSamplingPercentage: 100 }],
});
