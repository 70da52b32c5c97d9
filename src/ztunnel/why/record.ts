/**
 * The answer to "what becomes of a connection from here to there", as plain JSON. It is the same record whether it was
 * made from objects in files or from the live state of a node; `text` holds its words.
 */
import type { DecisionView } from "../../shared/authz/view.ts";

/** `mixed`: it depends on the endpoint that is drawn. `undecided`: something outside the mesh decides. */
export type WhyVerdict = "allowed" | "denied" | "unreachable" | "mixed" | "undecided";

export interface WhySource {
  readonly workload: string | null;
  readonly node: string | null;
  readonly address: string;
  /** Whether its connections are captured and carried by its node's proxy. */
  readonly inMesh: boolean;
  /** What its proxy shows to others. */
  readonly identity: string | null;
  readonly identityFrom: string;
}

/** How a name became addresses. */
export interface WhyName {
  readonly name: string;
  readonly text: string;
  readonly addresses: readonly string[];
}

/** The judgement at the far end of a hop. */
export type WhyArrival =
  /** No proxy of ours stands there, or none that we know enough about. */
  | { readonly kind: "unjudged"; readonly text: string; readonly warnings: readonly string[] }
  | { readonly kind: "refused"; readonly code: string; readonly text: string }
  | {
      readonly kind: "judged";
      readonly text: string;
      /** What the policies saw of the client. */
      readonly clientAddress: string;
      readonly clientIdentity: string | null;
      readonly clientIdentityFrom: string;
      readonly decision: DecisionView;
    };

export interface WhyHop {
  readonly from: string;
  /** Null when the hop leads nowhere. */
  readonly to: string | null;
  readonly toUid: string | null;
  readonly carrier: "tunnel" | "tunnel in a tunnel" | "plain TCP" | "nothing";
  /** Why this way. */
  readonly reason: string;
  /** Where the TCP connection of this hop ends. */
  readonly nextHop: string | null;
  /** Authority of the CONNECT. */
  readonly authority: string | null;
  /** SPIFFE URIs of which the next hop must present one. */
  readonly expects: readonly string[];
  readonly passedOver: readonly string[];
  /** Null when the connection does not get there. */
  readonly arrival: WhyArrival | null;
}

/** A waypoint on the way, with what somebody needs to ask it what it does. */
export interface WhyWaypoint {
  readonly name: string;
  readonly uid: string;
  /** Authority of the CONNECT. */
  readonly authority: string;
  readonly clientAddress: string;
  readonly clientIdentity: string;
}

export interface WhyPath {
  readonly verdict: Exclude<WhyVerdict, "mixed">;
  readonly because: string;
  readonly hops: readonly WhyHop[];
  readonly waypoint?: WhyWaypoint;
}

export interface WhyRecord {
  readonly from: string;
  readonly to: string;
  readonly verdict: WhyVerdict;
  readonly because: string;
  readonly source: WhySource | null;
  readonly name: WhyName | null;
  /** One for every endpoint that may be drawn. */
  readonly paths: readonly WhyPath[];
  /** What else somebody who asks should know. */
  readonly notes: readonly string[];
  /** All of it in words. */
  readonly text: readonly string[];
}
