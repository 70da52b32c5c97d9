/** A catalog over compilers that do next to nothing, and live clusters that remember what they were told. */
import { setImmediate } from "node:timers/promises";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import {
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../../src/shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import {
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { ChainCache } from "../../../../src/waypoint/compile/chain-cache.ts";
import { CompileError } from "../../../../src/waypoint/compile/notes.ts";
import { checkWayOut } from "../../../../src/waypoint/compile/way-out.ts";
import type { Chain, TcpChain } from "../../../../src/waypoint/model/chain.ts";
import { Catalog } from "../../../../src/waypoint/xds/catalog.ts";
import type { LiveClusters, ResourceCompilers } from "../../../../src/waypoint/xds/compilers.ts";
import { StateHolder } from "../../../../src/waypoint/xds/state.ts";
import { clusterType, endpointsType, listenerType } from "../../../../src/waypoint/xds/types.ts";
import { FakeClock } from "../../../support/clock.ts";

export interface LiveView {
  readonly clusters: readonly string[];
  readonly endpoints: readonly string[];
}

interface Plan {
  readonly name: string;
  readonly text: string;
  readonly static: boolean;
  readonly secret: string | undefined;
}

export interface Rig {
  readonly catalog: Catalog<Plan, string>;
  readonly state: StateHolder;
  readonly clock: FakeClock;
  /** What the live clusters were told last. */
  readonly live: () => LiveView;
  readonly log: string[];
  /** The name behind a cluster, whose own name begins with "dns", is known now. */
  readonly resolve: (name: string) => Promise<void>;
}

/** A TCP chain of this name that leads to these clusters, with a filter that asks others. */
function chainTo(name: string, clusters: readonly string[], asked: readonly string[]): TcpChain {
  return {
    kind: "tcp",
    name,
    filters: [
      { name: "asks", clusters: asked, onConnection: () => ({ kind: "continue" as const }) },
    ],
    clusters: { total: 1, clusters: clusters.map((cluster) => ({ cluster, weight: 1 })) },
    hashPolicy: [],
    idleTimeoutMs: 0,
    maxConnectionDurationMs: 0,
    accessLogs: [],
    stats: undefined,
  };
}

/** The stat prefix of a listener stands for the clusters its only chain names, those after ";" in its filter; "bad" does not compile. */
const compilers: ResourceCompilers<Plan, string> = {
  cluster: (message, notes) => {
    if (message.altStatName === "bad") throw new CompileError("lb_policy", "is not supported");
    if (message.altStatName === "odd") notes.decorates("alt_stat_name", "names statistics");
    const { name, altStatName, clusterDiscoveryType: type } = message;
    return {
      name,
      text: `${name}#${altStatName}`,
      static: type.case !== "type" || type.value !== Cluster_DiscoveryType.EDS,
      secret: altStatName.startsWith("kubernetes:") ? altStatName : undefined,
    };
  },
  endpointsName: (plan) => (plan.static ? undefined : plan.name),
  secretNames: ({ secret }) => (secret === undefined ? [] : [secret]),
  endpoints: (message) => message.clusterName,
  main: (bytes) => {
    const message = fromBinary(ListenerSchema, bytes);
    if (message.statPrefix === "bad") throw new CompileError("filter_chains[0]", "is bad");
    const [to = "", asked] = message.statPrefix.split(";");
    const chain = chainTo("c", to.split(","), asked?.split(",") ?? []);
    return {
      matcher: {
        match: () => ({ kind: "chain" as const, chain }),
        inspectsTls: () => false,
        inspection: { timeoutMs: 0, onTimeout: "close" },
      },
      chains: new Map<string, Chain>([["c", chain]]),
      accessLogs: [],
      cache: new ChainCache(),
    };
  },
  wayOut: (bytes, notes) => checkWayOut(bytes, notes, () => []),
  terminate: (bytes) => ({
    addresses: [{ host: "0.0.0.0", port: Number(fromBinary(ListenerSchema, bytes).statPrefix) }],
    trustDomains: ["cluster.local"],
    maxStreams: 100,
    pingIntervalMs: 10_000,
    pingTimeoutMs: 20_000,
    accessLogs: [],
    listenerAccessLogs: [],
  }),
};

export function catalogRig(): Rig {
  const resolved = new Set<string>();
  let view: LiveView = { clusters: [], endpoints: [] };
  const unresolved = new Map<string, () => void>();
  const live: LiveClusters<Plan, string> = {
    isWarm: (name) => !name.startsWith("dns") || resolved.has(name),
    whenWarm: async (names) => {
      for (const name of names) await new Promise<void>((resolve) => unresolved.set(name, resolve));
    },
    update: (clusters, endpoints) => {
      view = {
        clusters: [...clusters.values()].map(({ text }) => text).sort(),
        endpoints: [...endpoints.keys()].sort(),
      };
      return { get: () => undefined };
    },
  };
  const state = new StateHolder({ get: () => undefined });
  const clock = new FakeClock();
  const log: string[] = [];
  const catalog = new Catalog<Plan, string>({
    compilers,
    live,
    state,
    clock,
    log: createLogger(
      { clock, filter: new LogFilter("debug"), format: "plain", write: (line) => log.push(line) },
      "xds",
    ),
    warmingDeadlineMs: 15_000,
  });
  const resolve = async (name: string): Promise<void> => {
    resolved.add(name);
    unresolved.get(name)?.();
    await setImmediate();
  };
  return { catalog, state, clock, live: () => view, log, resolve };
}

interface ResponseInit {
  readonly resources?: NonNullable<
    MessageInitShape<typeof DeltaDiscoveryResponseSchema>["resources"]
  >;
  readonly removed?: readonly string[];
}

export function response(typeUrl: string, init: ResponseInit): DeltaDiscoveryResponse {
  return create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce: "n",
    resources: init.resources ?? [],
    removedResources: [...(init.removed ?? [])],
  });
}

/** EDS clusters by name; `name!` needs no endpoints, `name#text` sets alt_stat_name. */
export function clusters(...specs: readonly string[]): DeltaDiscoveryResponse {
  return response(clusterType, {
    resources: specs.map((spec) => {
      const [rest = "", altStatName = ""] = spec.split("#");
      const name = rest.replace("!", "");
      const type = rest.endsWith("!") ? Cluster_DiscoveryType.STATIC : Cluster_DiscoveryType.EDS;
      const message = create(ClusterSchema, {
        name,
        altStatName,
        clusterDiscoveryType: { case: "type", value: type },
      });
      return {
        name,
        version: "1",
        resource: { typeUrl: clusterType, value: toBinary(ClusterSchema, message) },
      };
    }),
  });
}

export function endpoints(...names: readonly string[]): DeltaDiscoveryResponse {
  return response(endpointsType, {
    resources: names.map((name) => ({
      name,
      version: "1",
      resource: {
        typeUrl: endpointsType,
        value: toBinary(
          ClusterLoadAssignmentSchema,
          create(ClusterLoadAssignmentSchema, { clusterName: name }),
        ),
      },
    })),
  });
}

function listener(name: string, statPrefix: string) {
  const message = create(ListenerSchema, { name, statPrefix });
  return {
    name,
    version: "1",
    resource: { typeUrl: listenerType, value: toBinary(ListenerSchema, message) },
  };
}

/** main_internal whose chain leads to these clusters, and connect_terminate on this port. */
export function listeners(to: string, port = 15008): DeltaDiscoveryResponse {
  return response(listenerType, {
    resources: [listener("main_internal", to), listener("connect_terminate", String(port))],
  });
}

export function namedListener(name: string): DeltaDiscoveryResponse {
  return response(listenerType, { resources: [listener(name, "")] });
}
