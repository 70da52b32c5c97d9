/** Records of denials and refusals as JSON for operators, with their words. */
import { describeDecision } from "../../shared/authz/trail.ts";
import { viewDecision } from "../../shared/authz/view.ts";
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import { formatSocketAddress } from "../../shared/net/authority.ts";
import { formatTimestamp } from "../../shared/telemetry/logger.ts";
import { type DecisionRecord, decidingPolicy, type RouteTaken } from "./decisions.ts";

type Json = Readonly<Record<string, unknown>>;

const ownIdentityFrom =
  "the pod's service account, as the node agent names it; proven by our certificate";

function routeView({ kind, reason, nextHop, expects }: RouteTaken): Json {
  return {
    kind,
    reason: reason.text,
    addressed: reason.addressed,
    nextHop: nextHop === undefined ? null : formatSocketAddress(nextHop),
    expects,
    passedOver: reason.passedOver,
    passedOverTotal: reason.passedOverTotal,
  };
}

function outcomeView(outcome: DecisionRecord["outcome"]): Json {
  if (outcome.kind === "refused") {
    const { code, message, route } = outcome;
    return {
      outcome: "refused",
      code,
      reason: message,
      ...(route === undefined ? {} : { route: routeView(route) }),
    };
  }
  const { decision, when } = outcome;
  const view = viewDecision(decision);
  return {
    outcome: when === "opening" ? "denied" : "closed by a change",
    reason: view.reason,
    decidedBy: decidingPolicy(decision) ?? null,
    rule: view.decidedBy,
    policies: view.policies,
    refusedPolicies: view.refusedPolicies,
    unknownPolicies: view.unknownPolicies,
    dryRun: view.dryRun,
    wouldChange: view.wouldChange,
    text: describeDecision(decision),
  };
}

/** Both ends with their identities, and how each of them was obtained. */
function endsView(record: DecisionRecord): Json {
  const { source, destination, direction, peer, outcome } = record;
  const own = record.own === undefined ? null : formatSpiffe(record.own);
  const ownFrom = own === null ? "none: the pod's own record is not known" : ownIdentityFrom;
  const to = destination === undefined ? null : formatSocketAddress(destination);
  if (direction === "inbound") {
    const identity = peer === undefined ? null : formatSpiffe(peer);
    const plain =
      outcome.kind === "policy"
        ? "none: the connection is plaintext"
        : "none: the client has not proven any";
    return {
      source: {
        address: formatSocketAddress(source),
        identity,
        identityFrom: identity === null ? plain : "client certificate",
      },
      destination: { address: to, identity: own, identityFrom: ownFrom },
    };
  }
  const expected = outcome.kind === "refused" ? (outcome.route?.expects ?? []) : [];
  return {
    source: { address: formatSocketAddress(source), identity: own, identityFrom: ownFrom },
    destination: {
      address: to,
      identity: expected.length === 1 ? expected[0] : null,
      identityFrom:
        expected.length === 0
          ? "none: no tunnel leads there"
          : "the control plane's records; what the next hop must prove",
    },
  };
}

export function decisionView(record: DecisionRecord): Json {
  return {
    time: formatTimestamp(record.wallMs),
    direction: record.direction,
    pod: record.pod,
    ...endsView(record),
    ...(record.authority === undefined ? {} : { authority: record.authority }),
    ...outcomeView(record.outcome),
  };
}
