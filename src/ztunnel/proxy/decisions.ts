/**
 * The last denials and refusals with everything that led to them, for `/debug/decisions`. Bounded; a record only keeps
 * what was at hand when it happened, the words are made when somebody asks (decision-view.ts).
 */
import type { PolicyDecision } from "../../shared/authz/decision.ts";
import type { ErrorCode, MeshError } from "../../shared/base/errors.ts";
import type { SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { Direction } from "../telemetry/access-log.ts";
import type { OutboundRoute, RouteReason } from "./route-types.ts";
import type { PodScope } from "./scope.ts";

/** The way that an outbound connection took before it was refused. */
export interface RouteTaken {
  readonly kind: OutboundRoute["kind"];
  readonly reason: RouteReason;
  /** Undefined when there was none. */
  readonly nextHop: SocketAddress | undefined;
  /** SPIFFE URIs of which the next hop must present one. */
  readonly expects: readonly string[];
}

export interface DecisionRecord {
  readonly wallMs: number;
  readonly direction: Direction;
  readonly pod: { readonly namespace: string; readonly name: string };
  /** Of the pod itself; undefined while its record is not known. */
  readonly own: SpiffeIdentity | undefined;
  readonly source: SocketAddress;
  readonly destination: SocketAddress | undefined;
  /** Authority of the CONNECT, where there was one. */
  readonly authority?: string | undefined;
  /** Of a client, proven by its certificate. */
  readonly peer?: SpiffeIdentity | undefined;
  readonly outcome:
    | {
        readonly kind: "policy";
        readonly when: "opening" | "open";
        readonly decision: PolicyDecision;
      }
    | {
        readonly kind: "refused";
        readonly code: ErrorCode;
        readonly message: string;
        readonly route?: RouteTaken | undefined;
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

/** The newest `count` decisions of the whole process, newest first. */
export interface DecisionSource {
  latest(count: number): readonly DecisionRecord[] | Promise<readonly DecisionRecord[]>;
}

/** Those of several threads as one list. */
export function newestOf(
  records: readonly DecisionRecord[],
  count: number,
): readonly DecisionRecord[] {
  return [...records].sort((a, b) => b.wallMs - a.wallMs).slice(0, count);
}

export class DecisionRing implements DecisionSource {
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

/**
 * Failures that somebody decided: we, the other side, or an authority. Broken connections, ends of pods and addresses where
 * nobody listens are told by the access log alone, so that they cannot push decisions out of the ring.
 */
const decided: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "self-call",
  "unknown-workload",
  "no-healthy-upstream",
  "unknown-waypoint",
  "unknown-network-gateway",
  "no-route",
  "connect-timeout-hbone",
  "connect-refused-status",
  "tls-failed",
  "identity-unavailable",
  "certificate-revoked",
  "bad-connect",
  "destination-mismatch",
  "unknown-destination",
]);

/** What is known of a connection that was refused. */
export type Refused = Pick<
  DecisionRecord,
  "direction" | "source" | "destination" | "authority" | "peer"
> & {
  readonly error: Pick<MeshError, "code" | "message">;
  readonly route?: RouteTaken | undefined;
};

/** Keeps a record of a refusal; of other failures none. */
export function recordRefusal(scope: PodScope, refused: Refused): void {
  const { error, route, ...where } = refused;
  if (!decided.has(error.code)) return;
  const { code, message } = error;
  record(scope, where, { kind: "refused", code, message, route });
}

/** Keeps a record of what a policy denied. */
export function recordDenial(
  scope: PodScope,
  where: { readonly peer: SocketAddress; readonly authority: string | undefined },
  decision: PolicyDecision,
  when: "opening" | "open",
): void {
  const { facts } = decision;
  record(
    scope,
    {
      direction: "inbound",
      source: where.peer,
      destination: { ip: facts.destinationIp, port: facts.destinationPort },
      authority: where.authority,
      peer: facts.peer,
    },
    { kind: "policy", when, decision },
  );
}

function record(
  { node, info, local }: PodScope,
  where: Pick<DecisionRecord, "direction" | "source" | "destination" | "authority" | "peer">,
  outcome: DecisionRecord["outcome"],
): void {
  const workload = local.current();
  node.decisions.add({
    wallMs: node.clock.wallMs(),
    pod: info,
    own: workload && local.identity(workload),
    ...where,
    outcome,
  });
}
