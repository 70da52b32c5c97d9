/** The hop behind a waypoint. Its routes can send elsewhere; this is where it goes without any. */
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import { identityOf } from "../../shared/model/store-workloads.ts";
import type { Service, Workload } from "../../shared/model/workload.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { arriveByTunnel, unjudged, verdictOf } from "./arrive.ts";
import { type WhyContext, workloadLabel } from "./context.ts";
import { blankHop, endpointsOf, pathByName, type Target } from "./hop.ts";
import type { WhyArrival, WhyHop, WhyPath } from "./record.ts";

const HBONE_PORT = 15008;

const reason = "the waypoint's routes decide; without one it takes an endpoint";

/** By tunnel, with the waypoint's own identity: beyond it the first source is not visible. */
function arriveFrom(
  context: WhyContext,
  waypoint: Workload,
  workload: Workload,
  at: SocketAddress,
): WhyArrival {
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

function pathTo(context: WhyContext, waypoint: Workload, { workload, at }: Target): WhyPath {
  const from = workloadLabel(waypoint);
  if (at.kind === "hostname") return pathByName(from, workload, at.hostname);
  const { address } = at;
  const meshed = workload.protocol === "HBONE";
  const arrival = arriveFrom(context, waypoint, workload, address);
  const hop: WhyHop = {
    ...blankHop(from, reason),
    to: workloadLabel(workload),
    toUid: workload.uid,
    carrier: meshed ? "tunnel" : "plain TCP",
    nextHop: formatSocketAddress(meshed ? { ip: address.ip, port: HBONE_PORT } : address),
    authority: meshed ? formatSocketAddress(address) : null,
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
  const from = workloadLabel(waypoint);
  if (service?.loadBalancing?.mode === "Passthrough") return [leaving(from, destination)];
  const because = `the waypoint has no endpoint for ${formatSocketAddress(destination)}, unless its routes send it elsewhere`;
  return [{ verdict: "undecided", because, hops: [blankHop(from, because)] }];
}

/** The service asks to be taken to where the client wanted to go. */
function leaving(from: string, destination: SocketAddress): WhyPath {
  const text = "it leaves the mesh; nothing judges it";
  const arrival: WhyArrival = { kind: "unjudged", text, warnings: [] };
  const hop: WhyHop = {
    ...blankHop(from, "the service asks for passthrough"),
    carrier: "plain TCP",
    nextHop: formatSocketAddress(destination),
    arrival,
  };
  return { ...verdictOf(arrival), hops: [hop] };
}

function ownerOf(
  { view, network }: WhyContext,
  near: Workload,
  destination: SocketAddress,
): Target[] {
  const workload = view.workloadByAddress(network ?? near.network, destination.ip);
  const at = { kind: "address", address: destination } as const;
  return workload === undefined ? [] : [{ workload, at }];
}
