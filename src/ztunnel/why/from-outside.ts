/** A source that is not captured: its connection comes as it is, to whom the cluster's own service routing sends it. */
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { arriveInPlaintext, verdictOf } from "./arrive.ts";
import { type Origin, type WhyContext, workloadLabel } from "./context.ts";
import { blankHop, endpointsOf, pathByName, type Target } from "./hop.ts";
import type { WhyArrival, WhyHop, WhyPath } from "./record.ts";

const why = "the source is not in the mesh, so its connection is not captured";

function pathTo(context: WhyContext, origin: Origin, first: WhyHop, target: Target): WhyPath {
  const { workload, at } = target;
  if (at.kind === "hostname") return pathByName(first.from, workload, at.hostname);
  const arrival = arriveInPlaintext(context, origin, workload, at.address);
  const hop: WhyHop = {
    ...first,
    to: workloadLabel(workload),
    toUid: workload.uid,
    carrier: "plain TCP",
    nextHop: formatSocketAddress(at.address),
    arrival,
  };
  return { ...verdictOf(arrival), hops: [hop] };
}

export function fromOutside(
  context: WhyContext,
  origin: Origin,
  destination: SocketAddress,
): WhyPath[] {
  const { view } = context;
  const from = origin.workload === undefined ? origin.ip : workloadLabel(origin.workload);
  const service = view.serviceByVip(origin.network, destination.ip, {});
  if (service !== undefined) {
    const past =
      service.waypoint === undefined
        ? ""
        : ", and bypasses the service's waypoint and its policies";
    const first = blankHop(from, `${why}; the cluster's own routing picks an endpoint${past}`);
    const targets = endpointsOf(context, service, destination);
    if (targets.length > 0) return targets.map((target) => pathTo(context, origin, first, target));
    const because = `no healthy upstream: ${formatSocketAddress(destination)}`;
    return [{ verdict: "unreachable", because, hops: [first] }];
  }
  const owner = view.workloadByAddress(origin.network, destination.ip);
  const at = { kind: "address", address: destination } as const;
  if (owner !== undefined)
    return [pathTo(context, origin, blankHop(from, why), { workload: owner, at })];
  return [unknownToAll(from, destination)];
}

function unknownToAll(from: string, destination: SocketAddress): WhyPath {
  const text = "neither end is in the mesh; nothing of it judges the connection";
  const arrival: WhyArrival = { kind: "unjudged", text, warnings: [] };
  const hop: WhyHop = {
    ...blankHop(from, why),
    carrier: "plain TCP",
    nextHop: formatSocketAddress(destination),
    arrival,
  };
  return { verdict: "undecided", because: text, hops: [hop] };
}
