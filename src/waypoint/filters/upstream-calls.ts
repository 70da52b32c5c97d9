/** Calls that filters make themselves: key sets, authorization servers. Implemented over clusters by cluster-calls.ts. */

/** Where and how long; the cluster decides endpoint, protocol and TLS. */
export interface CallTarget {
  readonly cluster: string;
  /** Host or `:authority`. */
  readonly authority: string;
  /** For the whole call, from the choice of endpoint to the last octet. 0: no limit. */
  readonly timeoutMs: number;
  /** The request that waits for this call; absent for calls of our own, such as key fetches. */
  readonly signal?: AbortSignal;
}

export interface HttpCall extends CallTarget {
  readonly method: string;
  readonly path: string;
  /** Lower-case names. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array;
  /** An answer with a larger body fails as "garbled". */
  readonly maxAnswerBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names, in the order of the wire. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface UnaryCall extends CallTarget {
  /** `envoy.service.auth.v3.Authorization` */
  readonly service: string;
  readonly method: string;
  /** Lower-case names. */
  readonly metadata: readonly (readonly [name: string, value: string])[];
  readonly message: Uint8Array;
  readonly maxAnswerBytes: number;
}

export interface CallFailure {
  readonly kind: "failed";
  /** no-cluster: unknown name; unavailable: no endpoint or connection; aborted: the waiting request ended. */
  readonly reason: "no-cluster" | "unavailable" | "timeout" | "reset" | "garbled" | "aborted";
  readonly detail: string;
}

export type HttpOutcome = { readonly kind: "answer"; readonly answer: HttpAnswer } | CallFailure;

export type UnaryOutcome =
  | { readonly kind: "message"; readonly message: Buffer }
  /** The server answered with a status other than OK. */
  | { readonly kind: "status"; readonly status: number; readonly message: string }
  | CallFailure;

/** Never rejects: what goes wrong is an outcome that the filter has a rule for. */
export interface UpstreamCalls {
  http(call: HttpCall): Promise<HttpOutcome>;
  unary(call: UnaryCall): Promise<UnaryOutcome>;
}
