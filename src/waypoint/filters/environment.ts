/** What filters need besides their configuration; one object for the life of the program. */
import type { Clock } from "../../shared/base/clock.ts";
import type { CounterSource } from "./counters.ts";
import type { RemoteKeySets } from "./jwt/remote-key-sets.ts";
import type { UpstreamCalls } from "./upstream-calls.ts";

export interface FilterEnvironment {
  readonly clock: Clock;
  readonly calls: UpstreamCalls;
  /** Survive updates of listeners, so that an update does not fetch every key anew. */
  readonly keySets: RemoteKeySets;
  readonly counters: CounterSource;
}
