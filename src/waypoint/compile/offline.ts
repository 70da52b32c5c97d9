/** Resources compiled without a waypoint that serves them, for questions about what one would do. */
import { fromBinary } from "@bufbuild/protobuf";
import type { Clock } from "../../shared/base/clock.ts";
import { formatSocketAddress } from "../../shared/net/authority.ts";
import { ClusterSchema } from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { DecisionCounters } from "../filters/counters.ts";
import { RemoteKeySets } from "../filters/jwt/remote-key-sets.ts";
import type { UpstreamCalls } from "../filters/upstream-calls.ts";
import type { Assignment, EndpointConfig } from "../model/endpoints.ts";
import { inertEnvironment } from "../telemetry/environment.ts";
import type { WhyClusters } from "../why/explain-http.ts";
import type { WaypointEndpoint } from "../why/record.ts";
import type { WaypointWhyState } from "../why.ts";
import { compileCluster } from "./cluster.ts";
import { compileAssignment } from "./endpoints.ts";
import { compileHooks } from "./hooks.ts";
import { compileMainListener } from "./main-listener.ts";
import { Notes } from "./notes.ts";
import { listenerName } from "./split-listener.ts";

/** Encoded messages of the three types, as a control plane sends them. */
export interface WaypointResources {
  readonly listeners: readonly Uint8Array[];
  readonly clusters: readonly Uint8Array[];
  readonly assignments: readonly Uint8Array[];
}

export interface OfflineWaypoint {
  readonly state: WaypointWhyState;
  /** What a waypoint would refuse, each with its path and reason. */
  readonly refused: readonly string[];
  close(): void;
}

const nobody: UpstreamCalls = {
  http: () => Promise.resolve({ kind: "failed", reason: "unavailable", detail: "nothing runs" }),
  unary: () => Promise.resolve({ kind: "failed", reason: "unavailable", detail: "nothing runs" }),
};

export function offlineWaypoint(
  { listeners, clusters, assignments }: WaypointResources,
  clock: Clock,
  identity: string | undefined,
): OfflineWaypoint {
  const keySets = new RemoteKeySets(nobody, clock);
  const counters = new DecisionCounters();
  const hooks = compileHooks({ clock, calls: nobody, keySets, counters }, inertEnvironment());
  const refused: string[] = [];
  const main = listeners.find((bytes) => listenerName(bytes) === "main_internal");
  const compiled = main && attempt(refused, () => compileMainListener(main, new Notes(), hooks));
  return {
    state: {
      matcher: compiled?.matcher,
      clusters: clustersOf(clusters, assignments, refused),
      identity,
      clock,
    },
    refused,
    close: () => keySets.close(),
  };
}

function attempt<T>(refused: string[], make: () => T): T | undefined {
  try {
    return make();
  } catch (thrown) {
    refused.push(thrown instanceof Error ? thrown.message : String(thrown));
    return undefined;
  }
}

function clustersOf(
  clusters: readonly Uint8Array[],
  assignments: readonly Uint8Array[],
  refused: string[],
): WhyClusters {
  const assigned = new Map<string, Assignment>();
  for (const bytes of assignments) {
    const one = attempt(refused, () =>
      compileAssignment(fromBinary(ClusterLoadAssignmentSchema, bytes), new Notes()),
    );
    if (one !== undefined) assigned.set(one.cluster, one);
  }
  /** By cluster; undefined: something else finds them. */
  const known = new Map<string, Assignment | undefined>();
  for (const bytes of clusters) {
    const one = attempt(refused, () =>
      compileCluster(fromBinary(ClusterSchema, bytes), new Notes()),
    );
    if (one === undefined) continue;
    const { name, discovery } = one;
    if (discovery.kind === "eds")
      known.set(name, assigned.get(discovery.serviceName) ?? none(name));
    else known.set(name, discovery.kind === "static" ? discovery.assignment : undefined);
  }
  return {
    has: (name) => known.has(name),
    endpoints: (name) => {
      const assignment = known.get(name);
      return assignment?.localities.flatMap(({ endpoints }) => endpoints.map(endpointOf));
    },
  };
}

function none(cluster: string): Assignment {
  return {
    cluster,
    localities: [],
    overprovisioningFactor: 140,
    weightedPriorityHealth: false,
  };
}

function endpointOf({ target, hostText, health }: EndpointConfig): WaypointEndpoint {
  const address =
    target.kind === "hbone" || target.kind === "tcp"
      ? formatSocketAddress(target.address)
      : hostText;
  return { address, healthy: health !== "unhealthy" };
}
