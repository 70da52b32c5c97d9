/** New connections without a pause, in both directions between the nodes, for as long as something else is done. */
import assert from "node:assert/strict";
import { ECHO_PORT, type LoadFailure } from "../../src/cli/demo/apps/protocol.ts";
import type { Stage } from "../../src/cli/demo/stage.ts";

/** Connections in one call; short, so that the load ends soon after what it accompanies. */
const SLICE = 100;

export interface Churned<T> {
  readonly outcome: T;
  readonly ok: number;
  readonly failures: readonly LoadFailure[];
  readonly longestMs: number;
}

/** More ports for one pair of addresses, and those of connections that are over back after a second. */
export async function allowManyPorts(stage: Stage): Promise<void> {
  const script =
    "echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range; echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse";
  const spaces = stage.shopPods.map(({ netns }) => netns);
  const runs = await Promise.all(
    spaces.map((netns) => stage.world.run(netns, ["sh", "-ec", script])),
  );
  for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
}

/** Runs `act` while two applications open connections through both ztunnels, `concurrency` at a time each. */
export async function whileChurning<T>(
  stage: Stage,
  concurrency: number,
  act: () => Promise<T>,
): Promise<Churned<T>> {
  const pairs = [
    { from: "web", to: "catalog-v2" },
    { from: "catalog-v2", to: "orders" },
  ];
  let over = false;
  let ok = 0;
  let longestMs = 0;
  const failures: LoadFailure[] = [];
  const workers = pairs.map(async ({ from, to }) => {
    const target = { host: stage.pod(to).ip, port: ECHO_PORT, connections: SLICE, concurrency };
    while (!over) {
      const result = await stage.app(from).call("churn", target);
      ok += result.ok;
      longestMs = Math.max(longestMs, result.longestMs);
      failures.push(...result.failures);
    }
  });
  try {
    return { outcome: await act(), ok, failures, longestMs };
  } finally {
    over = true;
    await Promise.all(workers);
  }
}
