/** The play, in order: out, in, what the mesh does, who may talk to whom, operations, out again. */
import type { Scene } from "../scene.ts";
import {
  clientAddress,
  identities,
  ipv6,
  largeTransfer,
  serverFirst,
  serviceNames,
  serviceSpreads,
  wireEncrypted,
} from "./data-path.ts";
import {
  earlyConnectionLeftAlone,
  enrollRunningPods,
  plaintextBefore,
  releaseByLabel,
} from "./enrollment.ts";
import { memoryIdle, memoryStable, ztunnelReplaced } from "./operations.ts";
import {
  allowByServiceAccount,
  brokenPolicyRefused,
  denyAllAndRecovery,
  denyClosesOpenConnection,
  legacyWhilePermissive,
  meshToLegacy,
  strictShutsOut,
} from "./policies.ts";

export const scenes: readonly Scene[] = [
  memoryIdle,
  plaintextBefore,
  enrollRunningPods,
  earlyConnectionLeftAlone,
  wireEncrypted,
  identities,
  clientAddress,
  serviceSpreads,
  serverFirst,
  serviceNames,
  ipv6,
  largeTransfer,
  meshToLegacy,
  legacyWhilePermissive,
  strictShutsOut,
  denyClosesOpenConnection,
  allowByServiceAccount,
  denyAllAndRecovery,
  brokenPolicyRefused,
  ztunnelReplaced,
  memoryStable,
  releaseByLabel,
];
