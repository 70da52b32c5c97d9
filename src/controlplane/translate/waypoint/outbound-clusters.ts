/**
 * Clusters for calls to services that another waypoint, or none, stands in front of: where routes send requests away, and
 * whom the waypoint itself asks (authorizers, collectors of spans).
 */
import { create } from "@bufbuild/protobuf";
import { formatSpiffe } from "../../../shared/identity/spiffe.ts";
import type { ClientTlsSpec } from "../../../shared/objects/kinds/destination-rule.ts";
import {
  type Cluster,
  type Cluster_TransportSocketMatchSchema,
  ClusterSchema,
} from "../../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { type MergedRule, policyForPort, policyForSubset } from "./destination-rules.ts";
import { dnsJitter } from "./dns.ts";
import { metadataExchangeConfig } from "./filters.ts";
import { supportsTunnel } from "./load-assignment.ts";
import { serviceMetadata } from "./metadata.ts";
import { clusterName, statName } from "./names.ts";
import {
  commonLb,
  type Discovered,
  discovery,
  isHttp2Upstream,
  ruleMetadata,
  withAutomaticNames,
} from "./service-clusters.ts";
import type { L7Service } from "./services.ts";
import { httpOptions } from "./static-clusters.ts";
import { meshTls, upstreamTls } from "./tls.ts";
import { applyPool, balancing, outlierDetection } from "./traffic-policy.ts";
import {
  matchedTunnelSocket,
  plainSocket,
  proxyProtocolSocket,
  type TransportSocket,
  tlsSocket,
} from "./transport.ts";
import { filterMetadata, type Init } from "./wire.ts";
import { outboundRule, type World } from "./world.ts";

type SocketMatch = Init<typeof Cluster_TransportSocketMatchSchema>;

/** Services that the configuration sends calls to and that are not reached as our own. */
export function calledServices(world: World): readonly L7Service[] {
  const { mesh, own, routes, services, node } = world;
  const hosts = new Set<string>();
  for (const hostname of own.keys())
    for (const host of routes.destinationsFor(hostname)) {
      const target = own.get(host);
      if (target === undefined || target.external) hosts.add(host);
    }
  const named = mesh.providers.flatMap((provider) => {
    const { envoyExtAuthzHttp, envoyExtAuthzGrpc, zipkin, opentelemetry } = provider;
    return [envoyExtAuthzHttp, envoyExtAuthzGrpc, zipkin, opentelemetry].flatMap(
      (one) => one?.service ?? [],
    );
  });
  const wanted = new Set([...hosts, ...named]);
  return services.all.filter(
    (service) =>
      (wanted.has(service.hostname) || wanted.has(`${service.namespace}/${service.hostname}`)) &&
      services.find(service.hostname, node.namespace) === service,
  );
}

export function outboundClusters(world: World, service: L7Service): readonly Cluster[] {
  const rule = outboundRule(world, service);
  return service.ports.flatMap((port) => {
    if (port.protocol === "UDP") return [];
    if (service.resolution === "DynamicDns" && !FORWARDED.has(port.protocol)) return [];
    const general = policyForPort(rule?.spec.trafficPolicy, port.number).policy;
    const whole = outboundCluster(world, { service, port, subset: "", policy: general, rule });
    if (service.resolution === "DynamicDns") return whole ?? [];
    const ofSubsets = (rule?.spec.subsets ?? []).flatMap(({ name }) => {
      const policy = rule && policyForSubset(rule.spec, name, port.number);
      return outboundCluster(world, { service, port, subset: name, policy, rule }) ?? [];
    });
    return [...(whole ?? []), ...ofSubsets];
  });
}

/** Protocols in which a request names its host. */
const FORWARDED: ReadonlySet<string> = new Set(["HTTP", "TLS", "GRPC", "HTTP2"]);

interface OutboundRequest extends Discovered {
  readonly rule: MergedRule | undefined;
}

/** None when there are no names to resolve. */
function outboundCluster(world: World, request: OutboundRequest): [Cluster] | undefined {
  const { service, port, subset, policy, rule } = request;
  const name = clusterName("outbound", port.number, subset, service.hostname);
  const discovered = discovery(world, request, name, true);
  if (discovered === undefined) return undefined;
  const pool = applyPool(world.mesh, port, policy);
  const http = withAutomaticNames(pool.http, policy);
  const cluster = create(ClusterSchema, {
    name,
    altStatName: statName(name),
    ...pool.fields,
    ...discovered,
    ...(service.resolution === "DynamicDns" ? {} : { commonLbConfig: commonLb(world, request) }),
    ...(policy?.outlierDetection === undefined
      ? {}
      : { outlierDetection: outlierDetection(policy.outlierDetection) }),
    metadata: filterMetadata({
      istio: {
        services: [serviceMetadata(service)],
        ...exchangeMetadata(world, service, subset),
        ...(rule === undefined ? {} : { config: ruleMetadata(rule) }),
        ...(subset === "" ? {} : { subset }),
      },
    }),
    filters: [metadataExchangeConfig],
    transportSocketMatches: [...socketMatches(world, request, isHttp2Upstream(pool.http))],
    ...(http === undefined ? {} : { typedExtensionProtocolOptions: httpOptions(http) }),
  });
  if (cluster.respectDnsTtl) cluster.$unknown = [dnsJitter()];
  return [cluster];
}

/** Whether peers of raw connections tell of themselves: nobody outside does, and nobody through a tunnel needs to. */
function exchangeMetadata(world: World, service: L7Service, subset: string) {
  if (subset !== "") return {};
  const instances = world.instances.get(service.key) ?? [];
  if (instances.length > 0 && instances.every(supportsTunnel)) return { disable_mx: true };
  return service.external ? { external: true } : {};
}

const plainMatch: SocketMatch = {
  name: "tlsMode-disabled",
  match: {},
  transportSocket: plainSocket,
};

const SIDECAR = { tlsMode: "istio" };

function socketMatches(
  world: World,
  request: OutboundRequest,
  http2: boolean,
): readonly SocketMatch[] {
  const { tls, proxyProtocol } = request.policy ?? {};
  const wrapped = (socket: TransportSocket): TransportSocket =>
    proxyProtocol === undefined ? socket : proxyProtocolSocket(proxyProtocol.version, socket);
  const matches = matchesFor(world, request, tls, http2);
  return matches.map(({ transportSocket = plainSocket, ...match }) => ({
    ...match,
    transportSocket: wrapped(transportSocket),
  }));
}

function tunnelMatch(inner: TransportSocket): SocketMatch {
  return {
    name: "hbone",
    match: { tunnel: "http" },
    transportSocket: matchedTunnelSocket(inner),
  };
}

/** In the order in which an endpoint's metadata is tried: through the tunnel, to a sidecar, or plainly. */
function matchesFor(
  world: World,
  { service, port, subset }: OutboundRequest,
  tls: ClientTlsSpec | undefined,
  http2: boolean,
): readonly SocketMatch[] {
  const stated = tls !== undefined && tls.mode !== "DISABLE";
  if (stated && tls.mode !== "ISTIO_MUTUAL") {
    const context = upstreamTls(withOwnNames(tls, world, service), world.mesh, { http2 });
    // Asked to encrypt with a certificate that is not named: nothing else is sent in its place by the tunnel either.
    if (context === undefined) return [tunnelMatch(plainSocket), plainMatch];
    const socket = tlsSocket("envoy.transport_sockets.tls", context);
    return [tunnelMatch(socket), { name: "user", transportSocket: socket }];
  }
  const sni = `outbound_.${port.number}_.${subset}_.${service.hostname}`;
  const identities = identitiesOf(world, service);
  if (stated) {
    const names = {
      sni: tls.sni === "" ? sni : tls.sni,
      subjectAltNames: tls.subjectAltNames.length === 0 ? identities : tls.subjectAltNames,
    };
    const socket = tlsSocket("envoy.transport_sockets.tls", meshTls(names, { http2 }));
    return [tunnelMatch(plainSocket), { name: "tlsMode-istio", transportSocket: socket }];
  }
  if (tls !== undefined || service.external || !expectsSidecars(world, service))
    return [tunnelMatch(plainSocket), plainMatch];
  const context = meshTls({ sni, subjectAltNames: identities }, { http2 });
  const transportSocket = tlsSocket("envoy.transport_sockets.tls", context);
  return [
    tunnelMatch(plainSocket),
    { name: "tlsMode-istio", match: SIDECAR, transportSocket },
    plainMatch,
  ];
}

/** A host outside vouches for the names that its entry states. */
function withOwnNames(tls: ClientTlsSpec, world: World, service: L7Service): ClientTlsSpec {
  if (service.kind !== "ServiceEntry" || tls.subjectAltNames.length > 0) return tls;
  return { ...tls, subjectAltNames: identitiesOf(world, service) };
}

/** To where connections go through unseen, the mesh's own TLS is used only if everybody there speaks it. */
function expectsSidecars(world: World, service: L7Service): boolean {
  if (world.sidecarTls.isOff(service.namespace)) return false;
  const rule = outboundRule(world, service);
  const passes =
    service.resolution === "Passthrough" ||
    balancing(rule?.spec.trafficPolicy?.loadBalancer).passthrough;
  if (!passes) return true;
  const instances = world.instances.get(service.key) ?? [];
  return (
    instances.length > 0 &&
    instances.every(({ labels }) => labels["security.istio.io/tlsMode"] === "istio")
  );
}

function identitiesOf({ mesh, instances }: World, service: L7Service): readonly string[] {
  const found = new Set(service.subjectAltNames);
  for (const { workload } of instances.get(service.key) ?? []) {
    const { namespace, serviceAccount } = workload;
    if (serviceAccount === "") continue;
    for (const trustDomain of mesh.trustDomains)
      found.add(formatSpiffe({ trustDomain, namespace, serviceAccount }));
  }
  return [...found].sort();
}
