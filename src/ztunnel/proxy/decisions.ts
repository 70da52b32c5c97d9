/**
 * The last denials and refusals with everything that led to them, for `/debug/decisions`. Bounded; a record only keeps
 * what was at hand when it happened, the words are made when somebody asks.
 */
import type { PolicyDecision } from "../../shared/authz/decision.ts";
import { describeDecision, reasonText, trailOf } from "../../shared/authz/trail.ts";
import { formatSpiffe, type SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { formatTimestamp } from "../../shared/telemetry/logger.ts";
import type { Direction } from "../telemetry/access-log.ts";
import type { RouteReason } from "./route-types.ts";

export interface DecisionRecord {
  readonly wallMs: number;
  readonly direction: Direction;
  readonly pod: { readonly namespace: string; readonly name: string };
  readonly source: SocketAddress;
  readonly destination: SocketAddress | undefined;
  /** Authority of the CONNECT, where there was one. */
  readonly authority?: string | undefined;
  /** Proven by the TLS handshake. */
  readonly peer?: SpiffeIdentity | undefined;
  readonly outcome:
    | {
        readonly kind: "policy";
        readonly when: "opening" | "open";
        readonly decision: PolicyDecision;
      }
    | { readonly kind: "refused"; readonly code: string; readonly message: string }
    | {
        readonly kind: "no-route";
        readonly code: string;
        readonly message: string;
        readonly reason: RouteReason;
      };
}

/** The one policy and rule that decided, as the access log names it; undefined when the absence of a rule did. */
export function decidingPolicy(decision: PolicyDecision): string | undefined {
  const { reason } = decision;
  switch (reason.kind) {
    case "denied-by":
    case "allowed-by":
      return `${reason.hit.policy} rule ${reason.hit.rule}`;
    case "policy-refused":
      return reason.policy;
    case "no-allow-matched":
    case "no-allow-policies":
      return undefined;
  }
}

export class DecisionRing {
  readonly #capacity: number;
  readonly #records: DecisionRecord[] = [];
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(record: DecisionRecord): void {
    if (this.#capacity === 0) return;
    this.#records[this.#next] = record;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  /** The newest `count`, newest first. */
  latest(count: number): DecisionRecord[] {
    const { length } = this.#records;
    const found: DecisionRecord[] = [];
    for (let back = 1; back <= Math.min(count, length); back++) {
      const record = this.#records[(this.#next - back + length) % length];
      if (record !== undefined) found.push(record);
    }
    return found;
  }
}

function outcomeView(outcome: DecisionRecord["outcome"]): Record<string, unknown> {
  switch (outcome.kind) {
    case "policy":
      return {
        outcome: outcome.when === "opening" ? "denied" : "closed by a change",
        reason: reasonText(outcome.decision),
        decidedBy: decidingPolicy(outcome.decision) ?? null,
        policies: trailOf(outcome.decision),
        refusedPolicies: outcome.decision.candidates.refused,
        unknownPolicies: outcome.decision.candidates.unknown,
        text: describeDecision(outcome.decision),
      };
    case "refused":
      return { outcome: "refused", code: outcome.code, reason: outcome.message };
    case "no-route":
      return {
        outcome: "refused",
        code: outcome.code,
        reason: outcome.message,
        route: outcome.reason,
      };
  }
}

/** As JSON for operators. */
export function decisionView(record: DecisionRecord): Record<string, unknown> {
  const identity = record.peer === undefined ? null : formatSpiffe(record.peer);
  return {
    time: formatTimestamp(record.wallMs),
    direction: record.direction,
    pod: record.pod,
    source: {
      address: formatSocketAddress(record.source),
      identity,
      identityFrom: identity === null ? "none: the connection is plaintext" : "client certificate",
    },
    destination: record.destination === undefined ? null : formatSocketAddress(record.destination),
    ...(record.authority === undefined ? {} : { authority: record.authority }),
    ...outcomeView(record.outcome),
  };
}
