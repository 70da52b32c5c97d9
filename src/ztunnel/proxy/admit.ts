/**
 * What both inbound paths have in common once the destination is decided (wire/ztunnel.md sections 5.1 to 5.6): policy
 * judges, the connection is reported and registered for later judgements, the application is connected.
 */
import type { ConnectionFacts, PolicyDecision } from "../../shared/authz/decision.ts";
import { evaluate } from "../../shared/authz/evaluate.ts";
import { logLines, reasonText } from "../../shared/authz/trail.ts";
import { asMeshError, MeshError } from "../../shared/base/errors.ts";
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import type { Workload } from "../../shared/model/workload.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { familyOf, type IpAddress, ipOf } from "../../shared/net/ip.ts";
import type { TcpConnection } from "../../shared/os/tcp-connection.ts";
import { Unquoted } from "../../shared/telemetry/log-fields.ts";
import { type Party, partyOf } from "../telemetry/party.ts";
import type { ConnectionReport } from "../telemetry/report.ts";
import type { ConnectionDetails, TrackedConnection } from "./connections.ts";
import { decidingPolicy, recordDenial } from "./decisions.ts";
import { encodeProxyHeader } from "./proxy-protocol.ts";
import type { InboundConnect, SourceBinding } from "./route-inbound-types.ts";
import type { PodScope } from "./scope.ts";

/** One connection or tunnel that wants to reach the application. */
export interface Arrival {
  readonly scope: PodScope;
  readonly tracked: TrackedConnection;
  readonly peer: SocketAddress;
  /** Where the TCP connection ended at our side. */
  readonly arrivedAt: SocketAddress;
  readonly local: Workload;
  readonly decision: InboundConnect;
  /** What is known of the client for labels. */
  readonly source: Party | undefined;
  /** Undefined on the plaintext path. */
  readonly authority: string | undefined;
  readonly forwardedHost: string | undefined;
}

export type Admission =
  | {
      readonly kind: "open";
      readonly application: TcpConnection;
      readonly report: ConnectionReport;
    }
  | { readonly kind: "denied" }
  | { readonly kind: "failed" };

/** Judges and connects. Denials and failures are reported here; the caller only answers its client. */
export async function admit(arrival: Arrival): Promise<Admission> {
  const { scope, tracked, decision } = arrival;
  const verdict = judge(scope, arrival.local, decision.facts);
  const report = openReport(arrival);
  if (verdict.verdict === "deny") {
    recordDenial(scope, arrival, verdict, "opening");
    report.end(
      new MeshError(
        "policy-denied",
        `connection closed due to policy rejection: ${reasonText(verdict)}`,
      ),
      decidingPolicy(verdict),
    );
    return { kind: "denied" };
  }
  // From here on a change of policy finds this connection, also while the application is being connected.
  tracked.admitted = decision.facts;
  tracked.details = detailsOf(arrival);
  try {
    const application = await connectApplication(arrival);
    if (decision.proxyHeader !== undefined)
      application.sendFirst(encodeProxyHeader(decision.proxyHeader));
    return { kind: "open", application, report };
  } catch (thrown) {
    report.end(asMeshError(thrown, "connect-failed", "connection failed"));
    return { kind: "failed" };
  }
}

/** Evaluates the policies that apply to our workload now, and logs what they said. */
export function judge(scope: PodScope, local: Workload, facts: ConnectionFacts): PolicyDecision {
  const { store, policyLogger, config } = scope.node;
  const decision = evaluate(store.policiesFor(local), facts);
  const level = config.policyInfoLogging ? "info" : "debug";
  if (policyLogger.enabled(level)) {
    for (const line of logLines(decision))
      policyLogger.log(level, line.message, {
        policy: line.policy === undefined ? undefined : new Unquoted(line.policy),
      });
  }
  return decision;
}

function openReport(arrival: Arrival): ConnectionReport {
  const { scope, decision, peer, arrivedAt, local, authority, source } = arrival;
  const identity = decision.facts.peer;
  const own = partyOf(local);
  const mutualTls = identity !== undefined;
  return scope.node.reporter.open(
    {
      direction: "inbound",
      source: peer,
      destination: arrivedAt,
      hboneAuthority: authority,
    },
    {
      reporter: "destination",
      source,
      sourceIdentity: identity === undefined ? undefined : formatSpiffe(identity),
      destination: own,
      destinationIdentity: mutualTls ? own.identity : undefined,
      service: decision.service,
      mutualTls,
    },
  );
}

function detailsOf(arrival: Arrival): ConnectionDetails {
  return {
    source: arrival.peer,
    originalDestination: arrival.forwardedHost,
    actualDestination: arrival.decision.destination,
    protocol: arrival.authority === undefined ? "TCP" : "HBONE",
  };
}

function sourceFor(arrival: Arrival): IpAddress | undefined {
  const binding: SourceBinding = arrival.decision.sourceBinding;
  switch (binding) {
    case "peer":
      return arrival.scope.preserveSource ? arrival.peer.ip : undefined;
    case "loopback":
      return familyOf(arrival.decision.destination.ip) === 4 ? ipOf("127.0.0.1") : ipOf("::1");
    case "own":
      return undefined;
  }
}

function connectApplication(arrival: Arrival): TcpConnection | Promise<TcpConnection> {
  const { scope, tracked, decision } = arrival;
  const { node, network } = scope;
  return network.connectTcp({
    destination: decision.destination,
    sourceIp: sourceFor(arrival),
    onSourceRefused: (reason) =>
      node.logger.warn("cannot keep the client address", {
        "src.addr": new Unquoted(formatSocketAddress(arrival.peer)),
        error: reason,
      }),
    mark: node.sockets.mark,
    keepAlive: node.sockets.keepAlive,
    timeoutMs: node.config.connectTimeoutMs,
    signal: tracked.signal,
  });
}
