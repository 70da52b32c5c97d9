/**
 * Follows a connection hop by hop. Where chance decides (endpoints, weighted waypoints) every outcome is followed, so that
 * the answer does not depend on when one asks.
 */

import { DRAWS, drawer } from "../../shared/base/draws.ts";
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import { identityOf } from "../../shared/model/store-workloads.ts";
import type { Workload } from "../../shared/model/workload.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { decideOutbound } from "../proxy/route.ts";
import type {
  DoubleHboneRoute,
  HboneRoute,
  OutboundDecision,
  OutboundRoute,
  RouteReason,
} from "../proxy/route-types.ts";
import { arriveByTunnel, type Client, unjudged, verdictOf } from "./arrive.ts";
import { beyondWaypoint } from "./beyond-waypoint.ts";
import { inMesh, type Origin, type WhyContext, workloadLabel } from "./context.ts";
import { fromOutside } from "./from-outside.ts";
import { blankHop, pathByName } from "./hop.ts";
import type { WhyArrival, WhyHop, WhyPath, WhyWaypoint } from "./record.ts";

export function followAll(
  context: WhyContext,
  origin: Origin,
  destination: SocketAddress,
): WhyPath[] {
  const { workload } = origin;
  if (!inMesh(workload)) return fromOutside(context, origin, destination);
  if (workload.addresses.includes(destination.ip)) return [toItself(workload, destination)];
  const outcomes = new Map<string, OutboundDecision>();
  for (let index = 0; index < DRAWS; index++) {
    const decision = settled(
      context,
      decideOutbound(
        context.view,
        { network: origin.network, illegalPorts: context.illegalPorts, random: drawer(index) },
        { source: workload, sourceIp: origin.ip, destination },
      ),
    );
    const key = outcomeKey(decision);
    if (!outcomes.has(key)) outcomes.set(key, decision);
  }
  return [...outcomes.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, decision]) =>
      decision.kind === "resolve"
        ? [pathByName(workloadLabel(workload), decision.workload, decision.hostname)]
        : pathsOf(context, origin, workload, destination, decision),
    );
}

/** Goes on with what names have been resolved to. */
function settled(context: WhyContext, decision: OutboundDecision): OutboundDecision {
  let current = decision;
  while (current.kind === "resolve") {
    const addresses = context.resolved?.(current.hostname);
    if (addresses === undefined) return current;
    current = current.proceed(addresses);
  }
  return current;
}

function outcomeKey(decision: OutboundDecision): string {
  switch (decision.kind) {
    case "refuse":
      return `refuse ${decision.message}`;
    case "resolve":
      return `resolve ${decision.hostname}`;
    case "tcp":
    case "hbone":
    case "double-hbone":
      return `${decision.kind} ${decision.upstream?.uid ?? ""} ${formatSocketAddress(decision.actualDestination)}`;
  }
}

/** Endpoints that merely lost the draw have paths of their own. */
function passedOverText({ view }: WhyContext, reason: RouteReason): string[] {
  const told = reason.passedOver.filter(({ why }) => why !== "not drawn");
  const untold = reason.passedOverTotal - reason.passedOver.length;
  return [
    ...told.map(({ workloadUid, why }) => {
      const workload = view.workloadByUid(workloadUid);
      return `${workload === undefined ? workloadUid : workloadLabel(workload)} (${why})`;
    }),
    ...(untold > 0 && told.length > 0 ? [`up to ${untold} more`] : []),
  ];
}

function pathsOf(
  context: WhyContext,
  origin: Origin,
  source: Workload,
  destination: SocketAddress,
  decision: OutboundRoute,
): WhyPath[] {
  const from = workloadLabel(source);
  const first: WhyHop = {
    ...blankHop(from, decision.reason.text),
    passedOver: passedOverText(context, decision.reason),
  };
  switch (decision.kind) {
    case "refuse":
      return [{ verdict: "unreachable", because: decision.message, hops: [first] }];
    case "tcp": {
      const { upstream, actualDestination } = decision;
      const arrival: WhyArrival =
        upstream === undefined
          ? { kind: "unjudged", text: "it leaves the mesh; nothing judges it", warnings: [] }
          : unjudged(context, upstream);
      const hop: WhyHop = {
        ...first,
        to: upstream === undefined ? null : workloadLabel(upstream),
        toUid: upstream?.uid ?? null,
        carrier: "plain TCP",
        nextHop: formatSocketAddress(actualDestination),
        arrival,
      };
      return [{ ...verdictOf(arrival), hops: [hop] }];
    }
    case "double-hbone":
      return [throughGateway(first, decision)];
    case "hbone": {
      const client: Client = {
        ip: origin.ip,
        identity: identityOf(source),
        identityFrom: `the certificate that ${from}'s ztunnel shows`,
      };
      return throughTunnel(context, first, client, destination, decision);
    }
  }
}

function toItself(workload: Workload, destination: SocketAddress): WhyPath {
  const label = workloadLabel(workload);
  const text = "a pod's connection to its own address is not captured";
  const hop: WhyHop = {
    ...blankHop(label, text),
    to: label,
    toUid: workload.uid,
    carrier: "plain TCP",
    nextHop: formatSocketAddress(destination),
    arrival: { kind: "unjudged", text, warnings: [] },
  };
  return { verdict: "allowed", because: text, hops: [hop] };
}

function throughGateway(first: WhyHop, route: DoubleHboneRoute): WhyPath {
  const text = `network "${route.upstream.network}" judges it: its policies are not known here`;
  const hop: WhyHop = {
    ...first,
    to: workloadLabel(route.gateway),
    toUid: route.gateway.uid,
    carrier: "tunnel in a tunnel",
    nextHop: formatSocketAddress(route.actualDestination),
    authority: route.authority,
    expects: route.acceptedIdentities,
    arrival: { kind: "unjudged", text, warnings: [] },
  };
  return { verdict: "undecided", because: text, hops: [hop] };
}

function throughTunnel(
  context: WhyContext,
  first: WhyHop,
  client: Client,
  destination: SocketAddress,
  route: HboneRoute,
): WhyPath[] {
  const { upstream, authority } = route;
  const expects = route.acceptedIdentities;
  const hop: WhyHop = {
    ...first,
    to: workloadLabel(upstream),
    toUid: upstream.uid,
    carrier: "tunnel",
    nextHop: formatSocketAddress(route.actualDestination),
    authority,
    expects,
  };
  const atWaypoint = route.via !== "direct";
  // A waypoint ends its tunnels itself, unless a ztunnel does it and hands the application the rest.
  const arrival: WhyArrival =
    atWaypoint && upstream.applicationTunnel === undefined
      ? {
          kind: "unjudged",
          text: `the waypoint ${workloadLabel(upstream)} ends the tunnel and judges its own policies (those with targetRefs); they are not judged here`,
          warnings: [],
        }
      : arriveByTunnel(context, client, {
          local: upstream,
          at: route.actualDestination,
          authority,
          expects,
        });
  const reached: WhyHop = { ...hop, arrival };
  const here = verdictOf(arrival);
  if (!atWaypoint) return [{ ...here, hops: [reached] }];
  const waypoint: WhyWaypoint = {
    name: workloadLabel(upstream),
    uid: upstream.uid,
    authority,
    clientAddress: client.ip,
    clientIdentity: formatSpiffe(client.identity),
  };
  if (here.verdict !== "allowed") return [{ ...here, hops: [reached], waypoint }];
  return beyondWaypoint(context, upstream, destination, route.service).map((path) => ({
    verdict: path.verdict,
    because:
      path.verdict === "allowed"
        ? `${path.because}, if the waypoint ${workloadLabel(upstream)} lets it pass`
        : path.because,
    hops: [reached, ...path.hops],
    waypoint,
  }));
}
