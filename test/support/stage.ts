/** The demo's stage for end-to-end tests: the whole mesh with real processes, and looks into them. */
import assert from "node:assert/strict";
import { HTTP_PORT, type Target } from "../../src/cli/demo/apps/protocol.ts";
import { NODES } from "../../src/cli/demo/shop.ts";
import { eventually, Stage, type StageOptions } from "../../src/cli/demo/stage.ts";
import { isReady, STATS_PORT } from "../../src/cli/world/mesh.ts";
import { program } from "./program.ts";

const ENROLLMENT_DEADLINE_MS = 20_000;

/** Opens a stage with the shop inside the mesh, unless told otherwise. */
export async function openStage(
  options: StageOptions & { readonly enrolled?: boolean } = {},
): Promise<Stage> {
  const listener = {
    onAccess: () => undefined,
    onWaypoint: () => undefined,
    onRequest: () => undefined,
  };
  const stage = await Stage.open(program, listener, options);
  if (options.enrolled !== false) await enroll(stage, true);
  return stage;
}

/** Ends the stage; the file's process has nothing more to do then. */
export async function closeStage(stage: Stage | undefined): Promise<void> {
  await stage?.close();
  process.disconnect?.();
}

/** Puts the shop in or out, waits until the node agents report it and every ztunnel has heard of it. */
export async function enroll(stage: Stage, inside: boolean): Promise<void> {
  stage.enroll(inside);
  await untilRedirected(stage, inside);
  await Promise.all(NODES.map((node) => untilKnown(stage, node, inside)));
}

/** Until a ztunnel knows this, it sends to an enrolled pod in plaintext, which is right but not what tests look at. */
async function untilKnown(stage: Stage, node: string, inside: boolean): Promise<void> {
  const protocol = inside ? "HBONE" : "TCP";
  await eventually(`the ztunnel of ${node} was not told`, ENROLLMENT_DEADLINE_MS, async () => {
    const { workloads } = await configDump(stage, node);
    return (
      stage.shopPods.every(({ name }) =>
        workloads.some((workload) => workload.name === name && workload.protocol === protocol),
      ) || undefined
    );
  });
}

export async function untilRedirected(stage: Stage, inside: boolean): Promise<void> {
  await eventually(
    `not all pods ${inside ? "entered" : "left"} the mesh`,
    ENROLLMENT_DEADLINE_MS,
    async () => {
      const uids = await stage.redirectedUids();
      return stage.shopPods.every(({ uid }) => uids.includes(uid) === inside) || undefined;
    },
  );
}

export function http(stage: Stage, pod: string): Target {
  return { host: stage.pod(pod).ip, port: HTTP_PORT };
}

/** Whether one request goes through within two seconds. */
export async function answers(stage: Stage, from: string, target: Target): Promise<boolean> {
  try {
    await stage.app(from).call("get", { ...target, timeoutMs: 2_000 });
    return true;
  } catch {
    return false;
  }
}

export async function untilAnswers(
  stage: Stage,
  from: string,
  target: Target,
  expected: boolean,
  timeoutMs = 15_000,
): Promise<void> {
  await eventually(
    `${from} ${expected ? "gets no answer" : "still gets answers"} from ${target.host}:${target.port}`,
    timeoutMs,
    async () => (await answers(stage, from, target)) === expected || undefined,
  );
}

export async function untilReady(stage: Stage, node: string): Promise<void> {
  await eventually(
    `the ztunnel of ${node} is not ready`,
    20_000,
    async () => (await isReady(stage.mesh.ztunnel(node).pod.ip)) || undefined,
  );
}

/** Sum of a metric over all label sets whose text contains `labels`. */
export async function metric(
  stage: Stage,
  node: string,
  name: string,
  labels = "",
): Promise<number> {
  const { ip } = stage.mesh.ztunnel(node).pod;
  const text = await (await fetch(`http://${ip}:${STATS_PORT}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => /^[a-z_]+/.exec(line)?.[0] === name && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

export interface ConfigDump {
  readonly workloads: readonly { readonly name: string; readonly protocol: string }[];
  readonly workloadState: Readonly<
    Record<
      string,
      {
        readonly state: string;
        readonly connections: { readonly inbound: unknown[]; readonly outbound: unknown[] };
        readonly info: { readonly name: string };
      }
    >
  >;
  readonly certificates: readonly {
    readonly identity: string;
    readonly state: string;
    readonly certChain?: readonly { readonly serialNumber: string }[];
  }[];
}

/** The admin page of a ztunnel, which listens on the loopback of its own namespace. */
export async function configDump(stage: Stage, node: string): Promise<ConfigDump> {
  const script =
    "fetch('http://127.0.0.1:15000/config_dump').then((r) => r.text()).then((t) => process.stdout.write(t))";
  const { netns } = stage.mesh.ztunnel(node).pod;
  const { stdout, stderr } = await stage.world.run(netns, [process.execPath, "-e", script]);
  assert.ok(stdout.startsWith("{"), `no config dump: ${stderr}`);
  return JSON.parse(stdout) as ConfigDump;
}
