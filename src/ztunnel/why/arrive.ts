/** The far end of a hop: the same checks and the same evaluator that the proxy there runs on a real connection. */
import { evaluate } from "../../shared/authz/evaluate.ts";
import { viewDecision } from "../../shared/authz/view.ts";
import { acceptedPeer, trustedPeer } from "../../shared/identity/peer.ts";
import {
  formatSpiffe,
  type SpiffeIdentity,
  spiffePrincipal,
} from "../../shared/identity/spiffe.ts";
import { policyKey } from "../../shared/model/policy.ts";
import { identityOf } from "../../shared/model/store-workloads.ts";
import type { Workload } from "../../shared/model/workload.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { type IpAddress, ipOf } from "../../shared/net/ip.ts";
import { decideInbound, decidePassthrough } from "../proxy/route-inbound.ts";
import type { InboundConnect } from "../proxy/route-inbound-types.ts";
import { type Origin, type WhyContext, workloadLabel } from "./context.ts";
import type { WhyArrival, WhyPath } from "./record.ts";

/** Who comes. */
export interface Client {
  readonly ip: IpAddress;
  readonly identity: SpiffeIdentity;
  readonly identityFrom: string;
}

/** A tunnel that ends at our proxy in front of `local`. */
export interface TunnelArrival {
  readonly local: Workload;
  /** Where the TCP connection ended. */
  readonly at: SocketAddress;
  readonly authority: string;
  /** What the client demands of us. */
  readonly expects: readonly string[];
}

/** The kubelet's probes are made to come from these (wire/ztunnel.md section 3.7). */
const PROBE_ADDRESSES: ReadonlySet<IpAddress> = new Set([
  ipOf("169.254.7.127"),
  ipOf("fd16:9254:7127:1337:ffff:ffff:ffff:ffff"),
]);

/** Ephemeral ports decide about nothing. */
const CLIENT_PORT = 0;

export function arriveByTunnel(
  context: WhyContext,
  client: Client,
  { local, at, authority, expects }: TunnelArrival,
): WhyArrival {
  const own = formatSpiffe(identityOf(local));
  const server = acceptedPeer([own], expects);
  if (server.kind === "refused") return refused("tls-failed", `tls error: ${server.reason}`);
  const peer = trustedPeer([formatSpiffe(client.identity)], local.trustDomain);
  if (peer.kind === "refused") return refused("tls-failed", `tls error: ${peer.reason}`);
  const decision = decideInbound(
    context.view,
    {
      network: context.network ?? local.network,
      illegalPorts: context.illegalPorts,
      localhostAppTunnel: context.localhostAppTunnel,
    },
    {
      local,
      peer: { ip: client.ip, port: CLIENT_PORT },
      peerIdentity: peer.peer,
      connectionDestination: at,
      method: "CONNECT",
      authority,
    },
  );
  if (decision.kind === "refuse")
    return refused(decision.code, `http status: ${decision.status} (${decision.message})`);
  return judge(context, local, decision, client.identityFrom);
}

export function arriveInPlaintext(
  context: WhyContext,
  { ip: from, workload: source }: Origin,
  local: Workload,
  destination: SocketAddress,
): WhyArrival {
  if (local.protocol !== "HBONE") return unjudged(context, local);
  if (PROBE_ADDRESSES.has(from))
    return {
      kind: "unjudged",
      text: `health probes of the node come from ${from} and pass by the proxy of ${workloadLabel(local)}`,
      warnings: [],
    };
  const { illegalPorts, view } = context;
  const decision = decidePassthrough(
    view,
    { illegalPorts },
    { local, peer: { ip: from, port: CLIENT_PORT }, destination },
  );
  if (decision.kind === "refuse") return refused(decision.code, decision.message);
  const arrival = judge(context, local, decision, "it comes in plaintext");
  const enrolled = source && ifInMesh(context, source, local, decision);
  if (enrolled === undefined) return arrival;
  const wouldChange = [enrolled, ...arrival.decision.wouldChange];
  return { ...arrival, decision: { ...arrival.decision, wouldChange } };
}

/** Whether the source's own identity would turn the verdict around, if only it could show it. */
function ifInMesh(
  { view }: WhyContext,
  source: Workload,
  local: Workload,
  { facts }: InboundConnect,
): string | undefined {
  const policies = view.policiesFor(local);
  const { verdict } = evaluate(policies, { ...facts, peer: identityOf(source) });
  if (verdict === evaluate(policies, facts).verdict) return undefined;
  const then = verdict === "allow" ? "allowed" : "denied";
  return `if ${workloadLabel(source)} were in the mesh, as ${spiffePrincipal(identityOf(source))}, it would be ${then}`;
}

/** A workload in front of which no proxy stands. */
export function unjudged({ view }: WhyContext, workload: Workload): WhyArrival {
  const idle = view
    .policiesFor(workload)
    .policies.filter((policy) => !policy.dryRun)
    .map(policyKey);
  return {
    kind: "unjudged",
    text: `${workloadLabel(workload)} is not in the mesh: no proxy stands in front of it, no policy is judged`,
    warnings:
      idle.length === 0
        ? []
        : [
            `NOT ENFORCED: ${idle.join(", ")}, because ${workloadLabel(workload)} is not in the mesh`,
          ],
  };
}

function refused(code: string, text: string): WhyArrival {
  return { kind: "refused", code, text };
}

function judge(
  { view }: WhyContext,
  local: Workload,
  { facts, destination }: InboundConnect,
  identityFrom: string,
): Extract<WhyArrival, { kind: "judged" }> {
  const decision = evaluate(view.policiesFor(local), facts);
  const node = local.node === "" ? "" : ` on ${local.node}`;
  const how = facts.peer === undefined ? "in plaintext, captured on 15006" : "by tunnel, on 15008";
  return {
    kind: "judged",
    text: `the ztunnel of ${workloadLabel(local)}${node} takes it ${how}, for port ${destination.port}`,
    clientAddress: facts.sourceIp,
    clientIdentity: facts.peer === undefined ? null : formatSpiffe(facts.peer),
    clientIdentityFrom: identityFrom,
    decision: viewDecision(decision),
  };
}

/** What the arrival means for the whole path. */
export function verdictOf(arrival: WhyArrival): Pick<WhyPath, "verdict" | "because"> {
  switch (arrival.kind) {
    case "unjudged":
      return { verdict: "allowed", because: arrival.text };
    case "refused":
      return { verdict: "unreachable", because: arrival.text };
    case "judged": {
      const { decision } = arrival;
      const { verdict, reason, decidedBy } = decision;
      const rule = decidedBy === null ? "" : ` (rule ${decidedBy.rule})`;
      return { verdict: verdict === "allow" ? "allowed" : "denied", because: `${reason}${rule}` };
    }
  }
}
