/** Our own mesh as it runs in production: redirection, HBONE, policy, metrics, access log. Or Istio's ztunnel in its place. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { systemClock } from "../../../shared/base/clock.ts";
import {
  readRedirectionStatuses,
  redirectionStatusDir,
} from "../../../shared/status/redirection.ts";
import { largeMesh } from "../../world/large-mesh.ts";
import { Mesh } from "../../world/mesh.ts";
import {
  type KubernetesObject,
  namespaceObject,
  ObjectFolder,
  topologyObjects,
} from "../../world/objects.ts";
import type { ManagedProcess } from "../../world/process.ts";
import type { Ground } from "../ground.ts";
import { PauseRecords } from "../pauses.ts";
import type { MeshContent } from "../spec.ts";
import {
  BENCH_NAMESPACE,
  ports,
  SERVER_IP,
  SYSTEM_NAMESPACE,
  WAYPOINT,
  ZTUNNEL_SERVICE_ACCOUNT,
} from "../topology.ts";
import { effectsMs } from "./effect.ts";
import { openEnvoyWaypoint } from "./envoy-waypoint.ts";
import type { Stack, StackOptions } from "./stack.ts";
import { holdThreads, threadShare } from "./thread-quota.ts";

/** For a mesh of 100,000 workloads: its control plane reads and translates for a minute and a half. */
const START_DEADLINE_MS = 240_000;
const ENROLL_DEADLINE_MS = 100_000;

export interface AmbitOptions extends StackOptions {
  /** Another ztunnel's command line. */
  readonly ztunnel?: readonly string[];
  /** More environment for the ztunnels. */
  readonly ztunnelEnv?: Readonly<Record<string, string>>;
  /** What stands before the server: ambit's waypoint, or Envoy (its binary) in its place. */
  readonly waypoint?: "ambit" | { readonly envoy: string };
}

/** Brings the mesh up and waits until the client's traffic to the server is in it. */
export async function openAmbit(ground: Ground, options: AmbitOptions): Promise<Stack> {
  const startedMs = systemClock.monotonicMs();
  const { world } = ground;
  const folder = new ObjectFolder(world.path("objects"));
  folder.write("topology", topologyObjects(world.topology));
  folder.write("namespaces", [
    namespaceObject(SYSTEM_NAMESPACE),
    namespaceObject(BENCH_NAMESPACE, {
      "istio.io/dataplane-mode": "ambient",
      ...(options.waypoint !== undefined ? { "istio.io/use-waypoint": WAYPOINT } : {}),
    }),
  ]);
  if (options.waypoint !== undefined) folder.write("waypoint", waypointObjects);
  folder.write("policies", policies(options.content.policies));
  writeMesh(folder, options.content);
  const { ztunnel } = options;
  const pauses = new PauseRecords(world.path("pauses"));
  const mesh = new Mesh(world, {
    program: pauses.watched(options.program),
    startDeadlineMs: START_DEADLINE_MS,
    config: folder.path,
    serviceAccount: `${SYSTEM_NAMESPACE}/${ZTUNNEL_SERVICE_ACCOUNT}`,
    ...(ztunnel === undefined ? {} : { ztunnelProgram: () => ztunnel }),
    ztunnelEnv: { LOG_FORMAT: "plain", ...options.ztunnelEnv },
  });
  await mesh.start();
  const waypoint = await startWaypoint(ground, mesh, options.waypoint);
  await untilEnrolled(ground, folder);
  const nodes = world.topology.nodes.map(({ name }) => name);
  const share = threadShare(process.env);
  if (share !== undefined)
    holdThreads(
      nodes.map((node) => mesh.ztunnel(node).process.pid),
      share,
    );
  return {
    host: SERVER_IP,
    dataPath: [
      { name: "ztunnel", pids: nodes.map((node) => mesh.ztunnel(node).process.pid) },
      ...waypoint.map(({ pid }) => ({ name: "waypoint", pids: [pid] })),
    ],
    control: [
      { name: "controlplane", pids: [mesh.controlPlane.pid] },
      { name: "nodeagent", pids: nodes.map((node) => mesh.nodeAgent(node).pid) },
    ],
    startedInMs: systemClock.monotonicMs() - startedMs,
    ...(ztunnel === undefined ? { pauses } : {}),
    // What is pushed to the waypoint has no effect on one with settings of its own.
    ...(typeof options.waypoint === "object"
      ? {}
      : {
          pushEffectsMs: (times) =>
            pushEffectsMs(ground, folder, options.waypoint !== undefined, times),
        }),
  };
}

async function startWaypoint(
  ground: Ground,
  mesh: Mesh,
  waypoint: AmbitOptions["waypoint"],
): Promise<readonly ManagedProcess[]> {
  if (waypoint === undefined) return [];
  if (waypoint === "ambit") return [await mesh.startWaypoint(WAYPOINT)];
  return [await openEnvoyWaypoint(ground, waypoint.envoy)];
}

function principalOf(serviceAccount: string, namespace = BENCH_NAMESPACE): string {
  return `cluster.local/ns/${namespace}/sa/${serviceAccount}`;
}

function policy(
  name: string,
  action: "ALLOW" | "DENY",
  principal: string,
  target: object = {},
): KubernetesObject {
  const rules = [{ from: [{ source: { principals: [principal] } }] }];
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: BENCH_NAMESPACE },
    spec: { ...target, action, rules },
  };
}

/** Of a policy for the waypoint. */
const forServer = { targetRefs: [{ kind: "Service", group: "", name: "server" }] };

/** The waypoint, a route that matches by header, and a policy for it: what a namespace with L7 needs has at least. */
const waypointObjects: readonly KubernetesObject[] = [
  {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: WAYPOINT, namespace: BENCH_NAMESPACE },
    spec: {
      gatewayClassName: "istio-waypoint",
      listeners: [{ name: "mesh", port: 15008, protocol: "HBONE" }],
    },
  },
  {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "server", namespace: BENCH_NAMESPACE },
    spec: {
      hosts: ["server"],
      http: [
        {
          match: [{ headers: { "x-bench": { exact: "other" } } }],
          fault: { abort: { httpStatus: 418, percentage: { value: 100 } } },
          route: [{ destination: { host: "server" } }],
        },
        {
          headers: { request: { add: { "x-via": "waypoint" } } },
          route: [{ destination: { host: "server" } }],
        },
      ],
    },
  },
  policy("at-waypoint", "ALLOW", principalOf("client"), forServer),
  policy("from-waypoint", "ALLOW", principalOf(WAYPOINT)),
];

/** One that is looked at for every connection and lets the client in, and others that stand beside it. */
function policies(count: number): readonly KubernetesObject[] {
  return Array.from({ length: Math.max(1, count) }, (_, index) => {
    const namespace = index === 0 ? BENCH_NAMESPACE : `other-${index}`;
    return policy(`allow-${index}`, "ALLOW", principalOf("client", namespace));
  });
}

function writeMesh(folder: ObjectFolder, { workloads }: MeshContent): void {
  if (workloads === 0) return;
  const size = { workloads, services: Math.ceil(workloads / 5), policies: 0 };
  mkdirSync(`${folder.path}/large`, { recursive: true });
  for (const { name, objects } of largeMesh(size)) {
    const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
    writeFileSync(`${folder.path}/large/${name}.yaml`, text);
  }
}

/** Both pods are redirected, and the server answers through the mesh. */
async function untilEnrolled(ground: Ground, folder: ObjectFolder): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + ENROLL_DEADLINE_MS;
  const wanted = ["client", "server"].map((name) => ground.pod(name).uid);
  const statusDir = await redirectionStatusDir(folder.path);
  for (;;) {
    if (existsSync(statusDir)) {
      const readings = await readRedirectionStatuses(statusDir);
      const uids = readings.flatMap((reading) =>
        reading.kind === "status" ? reading.status.pods : [],
      );
      if (wanted.every((uid) => uids.includes(uid)) && (await ground.answers(SERVER_IP, 1))) break;
    }
    if (systemClock.monotonicMs() > deadlineMs) throw new Error("the pods did not enter the mesh");
    await systemClock.sleep(50);
  }
  // The last to learn is whoever still sends in plaintext.
  await systemClock.sleep(1_000);
}

/**
 * A policy that shuts the client out is written and taken away again. Behind a waypoint the node proxies see its identity,
 * so the policy is for the waypoint.
 */
function pushEffectsMs(
  ground: Ground,
  folder: ObjectFolder,
  atWaypoint: boolean,
  times: number,
): Promise<readonly number[]> {
  const target = atWaypoint ? forServer : {};
  const deny = policy("deny-client", "DENY", principalOf("client"), target);
  const change = {
    shutOut: () => folder.write("deny", [deny]),
    letIn: () => folder.remove("deny"),
  };
  return effectsMs(ground, SERVER_IP, ports.http, change, times);
}
