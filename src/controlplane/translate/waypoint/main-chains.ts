/** The chains of the internal listener, and the way from addresses and ports to them. */
import type { IpAddress } from "../../../shared/net/ip.ts";
import type { PublishedWorkload } from "../workload-parts.ts";
import { type FilterChainInit, httpChain, tcpChain } from "./chains.ts";
import { defaultRoutes } from "./default-route.ts";
import {
  byPort,
  byProtocol,
  type OnMatch,
  type RangeMatcher,
  range,
  toChain,
  toMatcher,
} from "./matching.ts";
import { clusterName, ENCAP } from "./names.ts";
import { families } from "./node.ts";
import { isHttp, isSniffed } from "./protocols.ts";
import { serviceRoutes } from "./routes/service-routes.ts";
import { serviceTcpProxy } from "./routes/tcp-routes.ts";
import { addressesFor, type L7Port, type L7Service } from "./services.ts";
import type { SubjectParts } from "./subject.ts";
import { maybeDuration } from "./wire.ts";
import type { World } from "./world.ts";

const DIRECT_TCP = "direct-tcp";
const DIRECT_HTTP = "direct-http";

export interface PortChains {
  readonly chains: readonly FilterChainInit[];
  readonly onMatch: OnMatch;
}

/** Undefined for ports that nothing is sent through. */
export function portChains(
  world: World,
  service: L7Service,
  port: L7Port,
  parts: SubjectParts,
): PortChains | undefined {
  const { number, protocol } = port;
  if (protocol === "UDP") return undefined;
  // Of names that only a wildcard describes, the name is in the request: only HTTP has one.
  if (service.resolution === "DynamicDns" && protocol !== "HTTP") return undefined;
  const names = {
    http: clusterName("inbound-vip", number, "http", service.hostname),
    tcp: clusterName("inbound-vip", number, "tcp", service.hostname),
  };
  const rules = world.routes.forService(service, world.node);
  const at = { port: number, service };
  const http = () =>
    httpChain(world, parts, {
      name: names.http,
      port: number,
      protocol,
      routes: serviceRoutes(world, rules, { ...at, clusterName: names.http }),
      direct: false,
      hostname: service.hostname,
    });
  const tcp = () => {
    const proxy = serviceTcpProxy(world, rules, { ...at, clusterName: names.tcp });
    return tcpChain(parts, { name: names.tcp, proxy, direct: false });
  };
  if (isSniffed(protocol))
    return { chains: [tcp(), http()], onMatch: toMatcher(byProtocol(names.http, names.tcp)) };
  return isHttp(protocol)
    ? { chains: [http()], onMatch: toChain(names.http) }
    : { chains: [tcp()], onMatch: toChain(names.tcp) };
}

/** For connections to a workload itself: they go on to where they were going. */
export function directChains(world: World, parts: SubjectParts): readonly FilterChainInit[] {
  const idleTimeout = maybeDuration(world.node.idleTimeoutMs);
  return [
    tcpChain(parts, {
      name: DIRECT_TCP,
      proxy: {
        statPrefix: ENCAP,
        clusterSpecifier: { case: "cluster", value: ENCAP },
        ...(idleTimeout === undefined ? {} : { idleTimeout }),
      },
      direct: true,
    }),
    httpChain(world, parts, {
      name: DIRECT_HTTP,
      port: 0,
      protocol: "TCP",
      routes: defaultRoutes(world, { clusterName: ENCAP, port: 0, service: undefined }),
      direct: true,
      hostname: "",
    }),
  ];
}

/** From a service's addresses to its ports. Undefined when there is nothing to match. */
export function serviceRange(
  world: World,
  service: L7Service,
  ports: ReadonlyMap<number, OnMatch>,
): RangeMatcher | undefined {
  const addresses = addressesFor(service, families(world.node));
  if (ports.size === 0 || addresses.length === 0) return undefined;
  return range(addresses, toMatcher(byPort(ports)));
}

export function workloadRange(workloads: readonly PublishedWorkload[]): RangeMatcher | undefined {
  const addresses = workloads.flatMap(({ addresses: ips }) => ips.map(hostPrefix));
  return addresses.length === 0
    ? undefined
    : range(addresses, toMatcher(byProtocol(DIRECT_HTTP, DIRECT_TCP)));
}

function hostPrefix(ip: IpAddress) {
  return { prefix: ip, length: ip.includes(":") ? 128 : 32 };
}
