/** Parts of hops that all kinds of paths have in common. */
import { type Service, serviceKey, type Workload } from "../../shared/model/workload.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { targetPortOf } from "../proxy/endpoint.ts";
import { chooseAddress } from "../proxy/endpoint-address.ts";
import type { WhyContext } from "./context.ts";
import type { WhyHop } from "./record.ts";

/** Endpoints that are followed where all are possible. */
const MAX_ENDPOINTS = 32;

/** A hop of which only the first words are known. */
export function blankHop(from: string, reason: string): WhyHop {
  return {
    from,
    to: null,
    toUid: null,
    carrier: "nothing",
    reason,
    nextHop: null,
    authority: null,
    expects: [],
    passedOver: [],
    arrival: null,
  };
}

/** An endpoint and where its application listens. */
export interface Target {
  readonly workload: Workload;
  readonly at: SocketAddress;
}

/** Where others than a ztunnel may send what is for a service: to any endpoint that takes traffic. */
export function endpointsOf(
  { view }: WhyContext,
  service: Service,
  destination: SocketAddress,
): Target[] {
  const found: Target[] = [];
  const anyHealth = service.loadBalancing?.healthPolicy === "AllowAll";
  const key = serviceKey(service.namespace, service.hostname);
  for (const { workload, ports } of view.allEndpoints(key)) {
    const port = targetPortOf(service, destination.port, workload, ports);
    const where = chooseAddress({ workload, port: port ?? 0, service }, destination.ip);
    if (port === undefined || where.kind !== "ip") continue;
    if (workload.status === "Unhealthy" && !anyHealth) continue;
    found.push({ workload, at: { ip: where.ip, port } });
    if (found.length >= MAX_ENDPOINTS) break;
  }
  return found.toSorted((a, b) => (a.workload.uid < b.workload.uid ? -1 : 1));
}
