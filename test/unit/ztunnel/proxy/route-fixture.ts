/** Outbound decisions on a small mesh, said in one line. */
import assert from "node:assert/strict";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import type { Service, Workload } from "../../../../src/shared/model/workload.ts";
import { parseAuthority, type SocketAddress } from "../../../../src/shared/net/authority.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { decideOutbound, illegalPorts } from "../../../../src/ztunnel/proxy/route.ts";
import type { OutboundDecision } from "../../../../src/ztunnel/proxy/route-types.ts";
import { makeService, makeWorkload } from "../../../support/mesh-builders.ts";

export const source = makeWorkload("client", { ips: ["10.0.0.1"] });

function socketAddress(text: string): SocketAddress {
  const parsed = parseAuthority(text);
  assert.ok(parsed?.kind === "address", text);
  return parsed.address;
}

interface Options {
  readonly from?: Workload;
  readonly sourceIp?: string;
  readonly random?: () => number;
}

export function storeOf(records: readonly (Workload | Service)[]): MeshStore {
  const store = new MeshStore();
  store.apply({
    addresses: records.map((record) =>
      "uid" in record
        ? { kind: "workload", workload: record }
        : { kind: "service", service: record },
    ),
  });
  return store;
}

export function decideIn(
  store: MeshStore,
  destination: string,
  { from = source, sourceIp = "10.0.0.1", random = () => 0 }: Options = {},
): OutboundDecision {
  return decideOutbound(
    store,
    { network: from.network, illegalPorts: illegalPorts({ socks5: true }), random },
    { source: from, sourceIp: ipOf(sourceIp), destination: socketAddress(destination) },
  );
}

export function decide(
  records: readonly (Workload | Service)[],
  destination: string,
  options: Options = {},
): OutboundDecision {
  return decideIn(storeOf([options.from ?? source, ...records]), destination, options);
}

/** The decision in one line. */
export function say(decision: OutboundDecision): string {
  switch (decision.kind) {
    case "tcp":
      return `${decision.via} ${text(decision.actualDestination)}`;
    case "hbone":
      return `${decision.via} ${text(decision.actualDestination)} for ${decision.authority}`;
    case "double-hbone":
      return `double ${text(decision.actualDestination)} for ${decision.authority} on ${decision.forwardedNetwork}`;
    case "refuse":
      return `refuse ${decision.code}: ${decision.message}`;
    case "resolve":
      return `resolve ${decision.hostname}`;
  }
}

function text({ ip, port }: SocketAddress): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

export const sa = (name: string): string => `spiffe://cluster.local/ns/shop/sa/${name}`;
export const web = "shop/web.shop.svc.cluster.local";
export const way = "shop/way.shop.svc.cluster.local";
export const app = makeWorkload("app", { ips: ["10.0.0.2"] });
export const legacy = makeWorkload("legacy", { ips: ["10.0.0.3"], protocol: "TCP" });
export const backend = (
  name: string,
  ip: string,
  spec: Parameters<typeof makeWorkload>[1] = {},
): Workload => makeWorkload(name, { ips: [ip], behind: { [web]: { 80: 8080 } }, ...spec });
export const webService = (spec: Parameters<typeof makeService>[1] = {}): Service =>
  makeService("web", { at: ["10.96.0.1"], ports: { 80: 8080 }, ...spec });
export const waypointPod = makeWorkload("way-1", {
  ips: ["10.0.0.9"],
  behind: { [way]: { 15008: 15008 } },
});
export const waypointService = (spec: Parameters<typeof makeService>[1] = {}): Service =>
  makeService("way", { at: ["10.96.0.9"], ports: { 15008: 15008 }, ...spec });
