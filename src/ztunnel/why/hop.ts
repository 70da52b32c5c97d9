/** Parts of hops that all kinds of paths have in common. */
import { type Service, serviceKey, type Workload } from "../../shared/model/workload.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { targetPortOf } from "../proxy/endpoint.ts";
import { chooseAddress } from "../proxy/endpoint-address.ts";
import { type WhyContext, workloadLabel } from "./context.ts";
import type { WhyHop, WhyPath } from "./record.ts";

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
  readonly at:
    | { readonly kind: "address"; readonly address: SocketAddress }
    /** Known by its name only. */
    | { readonly kind: "hostname"; readonly hostname: string };
}

/** The hop to a workload that is known by its name only, and what becomes of it. */
export function pathByName(from: string, workload: Workload, hostname: string): WhyPath {
  const label = workloadLabel(workload);
  const plain = workload.protocol !== "HBONE";
  const because = plain
    ? `${label} is not in the mesh: no proxy stands in front of it, no policy is judged`
    : "who stands there is only known once the name is resolved";
  const hop: WhyHop = {
    ...blankHop(
      from,
      `${label} is known by its name ${hostname} only, which is resolved for each connection`,
    ),
    to: label,
    toUid: workload.uid,
    carrier: plain ? "plain TCP" : "tunnel",
    nextHop: hostname,
    arrival: { kind: "unjudged", text: because, warnings: [] },
  };
  return { verdict: plain ? "allowed" : "undecided", because, hops: [hop] };
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
    if (port === undefined || where.kind === "none") continue;
    if (workload.status === "Unhealthy" && !anyHealth) continue;
    const at: Target["at"] =
      where.kind === "ip" ? { kind: "address", address: { ip: where.ip, port } } : where;
    found.push({ workload, at });
    if (found.length >= MAX_ENDPOINTS) break;
  }
  return found.toSorted((a, b) => (a.workload.uid < b.workload.uid ? -1 : 1));
}
