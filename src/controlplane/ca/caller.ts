/** Who calls a gRPC method of the control plane, as its bearer token says. */
import type { Metadata } from "@grpc/grpc-js";

export interface Caller {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The node that the token is bound to. */
  readonly node?: string;
}

/**
 * Reads and checks the bearer token of a call. Rejects with an AuthenticationError whose message is for the log; a caller
 * is told no more than UNAUTHENTICATED.
 */
export type Authenticate = (metadata: Metadata) => Promise<Caller>;

export class AuthenticationError extends Error {
  override readonly name = "AuthenticationError";
}
