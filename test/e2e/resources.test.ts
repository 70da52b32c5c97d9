import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ECHO_PORT, STALL_PORT } from "../../src/cli/demo/apps/protocol.ts";
import { NODES } from "../../src/cli/demo/shop.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import {
  answers,
  closeStage,
  configDump,
  http,
  metric,
  openStage,
  untilAnswers,
} from "../support/stage.ts";

let stage: Stage;

before(async () => {
  stage = await openStage();
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
});

after(() => closeStage(stage));

async function churn(connections: number): Promise<void> {
  const target = { host: stage.pod("catalog-v2").ip, port: ECHO_PORT };
  const result = await stage.app("web").call("churn", { ...target, connections, concurrency: 20 });
  assert.deepEqual(result.failures, []);
  assert.equal(result.ok, connections);
}

function openFiles(): number[] {
  return NODES.map((node) => stage.mesh.ztunnel(node).process.openFiles());
}

test("2,000 connections leave no descriptor and no connection behind", async () => {
  await churn(200);
  await eventually("the warm-up does not end", 5_000, async () => {
    const dump = await configDump(stage, "node1");
    const open = Object.values(dump.workloadState).flatMap(
      ({ connections }) => connections.outbound,
    );
    return open.length === 0 || undefined;
  });
  const before = openFiles();
  await churn(2_000);
  await eventually(
    () => `descriptors: ${before.join(" and ")} before, ${openFiles().join(" and ")} after`,
    10_000,
    () => openFiles().every((files, node) => files <= (before[node] ?? 0) + 2) || undefined,
  );
  for (const node of NODES) {
    const dump = await configDump(stage, node);
    for (const { connections, info } of Object.values(dump.workloadState))
      assert.deepEqual(connections, { inbound: [], outbound: [] }, info.name);
    const opened = await metric(stage, node, "istio_tcp_connections_opened_total");
    const closed = await metric(stage, node, "istio_tcp_connections_closed_total");
    assert.equal(closed, opened);
    assert.ok(opened >= 2_000);
  }
});

test("a reader that stalls holds its sender back, and memory stays within the window", async () => {
  const before = NODES.map((node) => stage.mesh.ztunnel(node).process.residentKib());
  const flood = await stage.app("web").call("flood", {
    session: "flood",
    host: stage.pod("catalog-v2").ip,
    port: STALL_PORT,
    quietMs: 1_500,
    maxBytes: 1 << 30,
  });
  assert.ok(flood.blocked, "the sender was never held back");
  assert.ok(flood.bytes < 48 << 20, `${flood.bytes} bytes were taken`);
  NODES.forEach((node, position) => {
    const grownKib = stage.mesh.ztunnel(node).process.residentKib() - (before[position] ?? 0);
    assert.ok(grownKib < 40 * 1024, `the ztunnel of ${node} grew by ${grownKib} KiB`);
  });
  assert.ok(await answers(stage, "web", http(stage, "catalog-v2")), "others on the tunnel suffer");
  await stage.app("web").call("close", { session: "flood" });
});
