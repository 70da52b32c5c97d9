/** The hop behind a waypoint. Its routes can send elsewhere; this is where it goes without any. */
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import { identityOf } from "../../shared/model/store-workloads.ts";
import type { Service, Workload } from "../../shared/model/workload.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { arriveByTunnel, unjudged, verdictOf } from "./arrive.ts";
import { type WhyContext, workloadLabel } from "./context.ts";
import { blankHop, endpointsOf, type Target } from "./hop.ts";
import type { WhyArrival, WhyHop, WhyPath } from "./record.ts";

const HBONE_PORT = 15008;

/** By tunnel, with the waypoint's own identity: beyond it the first source is not visible. */
function arriveFrom(context: WhyContext, waypoint: Workload, target: Target): WhyArrival {
  const { workload, at } = target;
  if (workload.protocol !== "HBONE") return unjudged(context, workload);
  const [ip = at.ip] = waypoint.addresses;
  return arriveByTunnel(
    context,
    {
      ip,
      identity: identityOf(waypoint),
      identityFrom: "the waypoint's own certificate: beyond it the first source is not visible",
    },
    {
      local: workload,
      at: { ip: at.ip, port: HBONE_PORT },
      authority: formatSocketAddress(at),
      expects: [formatSpiffe(identityOf(workload))],
    },
  );
}

function pathTo(context: WhyContext, waypoint: Workload, target: Target): WhyPath {
  const { workload, at } = target;
  const meshed = workload.protocol === "HBONE";
  const arrival = arriveFrom(context, waypoint, target);
  const hop: WhyHop = {
    ...blankHop(
      workloadLabel(waypoint),
      "the waypoint's routes decide; without one it takes an endpoint",
    ),
    to: workloadLabel(workload),
    toUid: workload.uid,
    carrier: meshed ? "tunnel" : "plain TCP",
    nextHop: formatSocketAddress(meshed ? { ip: at.ip, port: HBONE_PORT } : at),
    authority: meshed ? formatSocketAddress(at) : null,
    expects: meshed ? [formatSpiffe(identityOf(workload))] : [],
    arrival,
  };
  return { ...verdictOf(arrival), hops: [hop] };
}

export function beyondWaypoint(
  context: WhyContext,
  waypoint: Workload,
  destination: SocketAddress,
  service: Service | undefined,
): WhyPath[] {
  const targets =
    service === undefined
      ? ownerOf(context, waypoint, destination)
      : endpointsOf(context, service, destination);
  if (targets.length > 0) return targets.map((target) => pathTo(context, waypoint, target));
  const because = `the waypoint finds no endpoint for ${formatSocketAddress(destination)}`;
  return [{ verdict: "unreachable", because, hops: [blankHop(workloadLabel(waypoint), because)] }];
}

function ownerOf(
  { view, network }: WhyContext,
  near: Workload,
  destination: SocketAddress,
): Target[] {
  const workload = view.workloadByAddress(network ?? near.network, destination.ip);
  return workload === undefined ? [] : [{ workload, at: destination }];
}
