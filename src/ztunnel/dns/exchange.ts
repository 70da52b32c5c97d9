/** One question to one nameserver. Failing is an ordinary outcome here, so it is a value and never an exception. */

export type ExchangeOutcome =
  /** The response as it came, under the id of the client's query. */
  | { readonly kind: "response"; readonly packet: Uint8Array }
  | { readonly kind: "failed"; readonly reason: string };

/** A way to one nameserver. */
export interface Exchanger {
  /** Settles after `timeoutMs` at the latest, and at once when closed. */
  exchange(query: Uint8Array, timeoutMs: number): Promise<ExchangeOutcome>;
  /** Ends open exchanges with a failure. Idempotent. */
  close(): void;
}

export function failed(reason: string): ExchangeOutcome {
  return { kind: "failed", reason };
}
