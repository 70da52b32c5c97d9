/**
 * The answer to "what does this waypoint do with such a request", as plain JSON. It is the same record whether it was made
 * from a running waypoint's state or from resources that nobody serves; `text` holds its words.
 */

/** `answered`: the waypoint answers itself, as it was told to. `mixed`: chance decides. */
export type WaypointVerdict =
  | "allowed"
  | "denied"
  | "answered"
  | "unreachable"
  | "undecided"
  | "mixed";

export interface WaypointQuestion {
  /** What the CONNECT names: `10.96.1.1:80`, or `host:port`. */
  readonly to: string;
  /** The client's address. */
  readonly from: string;
  /** SPIFFE URI of the client's certificate. */
  readonly identity: string | undefined;
  /** Undefined: octets of no protocol that is known. */
  readonly request: WaypointRequest | undefined;
}

export interface WaypointRequest {
  readonly method: string;
  readonly path: string;
  /** The Host header. */
  readonly host: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface WaypointRoute {
  readonly name: string;
  readonly virtualHost: string;
  /** The object it was made from, where the control plane says so. */
  readonly origin: string | null;
  /** What it asks for. */
  readonly reason: string;
  readonly passedOver: readonly string[];
}

export interface WaypointEndpoint {
  readonly address: string;
  readonly healthy: boolean;
}

/** One way it may go. */
export interface WaypointOutcome {
  /** Of all draws, in [0, 1]. */
  readonly share: number;
  readonly verdict: Exclude<WaypointVerdict, "mixed">;
  readonly because: string;
  /** Of an answer that the waypoint makes itself. */
  readonly status: number | null;
  readonly flags: string;
  readonly details: string | null;
  readonly decisions: readonly string[];
  /** Null: none matches, or it is a connection. */
  readonly route: WaypointRoute | null;
  readonly cluster: string | null;
  /** Null: not known. */
  readonly endpoints: readonly WaypointEndpoint[] | null;
}

export interface WaypointWhy {
  readonly question: WaypointQuestion;
  readonly chain: string | null;
  readonly verdict: WaypointVerdict;
  readonly because: string;
  /** The likeliest first. */
  readonly outcomes: readonly WaypointOutcome[];
  /** All of it in words. */
  readonly text: readonly string[];
}
