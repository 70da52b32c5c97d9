/** Where the keys of a provider come from. */
import type { VerificationKeys } from "./keys.ts";

export type KeySource =
  | { readonly kind: "local"; readonly keys: VerificationKeys }
  | { readonly kind: "remote"; readonly spec: RemoteKeySpec };

/** Two providers with the same specification share their keys. */
export interface RemoteKeySpec {
  readonly cluster: string;
  readonly uri: string;
  readonly timeoutMs: number;
  readonly cacheMs: number;
  /** Fetched before the first request asks, and refreshed. */
  readonly prefetch: { readonly failedRefetchMs: number } | undefined;
  readonly retries: number;
}
