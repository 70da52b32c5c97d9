/** The play, in order: out, in, what the mesh does, who may talk to whom, operations, the waypoint, out again. */
import type { Play } from "../choice.ts";
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
import { methodPolicy, tokenRequired } from "./waypoint/access.ts";
import {
  tcpThroughWaypoint,
  waypointGone,
  waypointInThePath,
  waypointKilled,
  waypointReplaced,
} from "./waypoint/lifecycle.ts";
import {
  circuitBreaker,
  injectedFault,
  retriesHideFailure,
  routeTimeout,
} from "./waypoint/resilience.ts";
import { canaryShift, headerRouting, mirroredTraffic } from "./waypoint/routing.ts";
import { waypointMetrics, waypointTrace } from "./waypoint/telemetry.ts";

/** The second act needs the waypoint that its first scene brings up and its last one takes down. */
const waypointScenes: readonly Scene[] = [
  waypointInThePath,
  canaryShift,
  headerRouting,
  retriesHideFailure,
  routeTimeout,
  injectedFault,
  circuitBreaker,
  methodPolicy,
  tokenRequired,
  mirroredTraffic,
  tcpThroughWaypoint,
  waypointMetrics,
  waypointTrace,
  waypointReplaced,
  waypointKilled,
  waypointGone,
];

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
  ...waypointScenes,
  releaseByLabel,
];

export const play: Play = {
  scenes,
  opening: [plaintextBefore, enrollRunningPods],
  secondAct: waypointScenes,
};
