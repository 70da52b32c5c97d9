/** A source that is not captured: its connection comes as it is, to whom the cluster's own service routing sends it. */
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { arriveInPlaintext, verdictOf } from "./arrive.ts";
import { type Origin, type WhyContext, workloadLabel } from "./context.ts";
import { blankHop, endpointsOf, type Target } from "./hop.ts";
import type { WhyArrival, WhyHop, WhyPath } from "./record.ts";

const why = "the source is not in the mesh, so its connection is not captured";

function pathTo(context: WhyContext, origin: Origin, first: WhyHop, target: Target): WhyPath {
  const arrival = arriveInPlaintext(context, origin, target.workload, target.at);
  const hop: WhyHop = {
    ...first,
    to: workloadLabel(target.workload),
    toUid: target.workload.uid,
    carrier: "plain TCP",
    nextHop: formatSocketAddress(target.at),
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
    const first = blankHop(from, `${why}; the cluster's own routing picks an endpoint`);
    const targets = endpointsOf(context, service, destination);
    if (targets.length > 0) return targets.map((target) => pathTo(context, origin, first, target));
    const because = `no healthy upstream: ${formatSocketAddress(destination)}`;
    return [{ verdict: "unreachable", because, hops: [first] }];
  }
  const owner = view.workloadByAddress(origin.network, destination.ip);
  if (owner !== undefined)
    return [pathTo(context, origin, blankHop(from, why), { workload: owner, at: destination })];
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
