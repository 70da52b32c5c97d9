/** What goes into the mesh's state, and what comes out as notification. */
import type { SpiffeIdentity } from "../identity/spiffe.ts";
import type { RefusedPolicy } from "./mesh-view.ts";
import type { Policy } from "./policy.ts";
import type { Address, ServiceKey } from "./workload.ts";

/** One batch: all upserts take effect first, then the removals, then there is one notification. */
export interface MeshUpdate {
  readonly addresses?: readonly Address[];
  /** Names as they stand on the wire: a workload's uid or a service's `namespace/hostname`. */
  readonly removedAddresses?: readonly string[];
  readonly policies?: readonly Policy[];
  /** Ignored for a policy of which an older version is held: that one stays in force. */
  readonly refusedPolicies?: readonly RefusedPolicy[];
  /** `namespace/name`. */
  readonly removedPolicies?: readonly string[];
}

/** What one batch changed. Added, changed and removed things alike are named. */
export interface MeshChange {
  readonly workloads: ReadonlySet<string>;
  readonly services: ReadonlySet<ServiceKey>;
  /** Not empty: open connections must be judged again. */
  readonly policies: ReadonlySet<string>;
  /** Identities that now run on the local node and did not before, and the other way round: for certificates. */
  readonly localIdentities: {
    readonly appeared: readonly SpiffeIdentity[];
    readonly vanished: readonly SpiffeIdentity[];
  };
}
