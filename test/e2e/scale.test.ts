import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ECHO_PORT } from "../../src/cli/demo/apps/protocol.ts";
import { NODES } from "../../src/cli/demo/shop.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import { allowManyPorts } from "../support/churn.ts";
import { type Memory, memoryAfterCollection } from "../support/inspect.ts";
import { isFullScale } from "../support/scale.ts";
import { closeStage, configDump, http, metric, openStage, untilAnswers } from "../support/stage.ts";

const CONNECTIONS = isFullScale ? 50_000 : 5_000;
const WARM_UP_CONNECTIONS = isFullScale ? 10_000 : 3_000;
const CONCURRENCY = 32;

let stage: Stage;

before(async () => {
  stage = await openStage();
  await allowManyPorts(stage);
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
});

after(() => closeStage(stage));

async function churn(connections: number): Promise<void> {
  const target = { host: stage.pod("catalog-v2").ip, port: ECHO_PORT };
  const result = await stage
    .app("web")
    .call("churn", { ...target, connections, concurrency: CONCURRENCY });
  assert.deepEqual(result.failures, []);
  assert.equal(result.ok, connections);
}

async function untilIdle(node: string): Promise<void> {
  await eventually(`connections stay open in ${node}`, 10_000, async () => {
    const { workloadState } = await configDump(stage, node);
    const open = Object.values(workloadState).flatMap(({ connections }) => [
      ...connections.inbound,
      ...connections.outbound,
    ]);
    return open.length === 0 || undefined;
  });
}

interface Held extends Memory {
  readonly files: number;
}

async function held(node: string): Promise<Held> {
  await untilIdle(node);
  const memory = await memoryAfterCollection(stage, node);
  return { ...memory, files: stage.mesh.ztunnel(node).process.openFiles() };
}

test(`${CONNECTIONS} connections leave no descriptor, stream or memory behind`, async (t) => {
  await churn(WARM_UP_CONNECTIONS);
  const before = await Promise.all(NODES.map(held));
  const startedMs = performance.now();
  await churn(CONNECTIONS);
  t.diagnostic(`${Math.round((CONNECTIONS * 1e3) / (performance.now() - startedMs))} a second`);
  for (const [position, node] of NODES.entries()) {
    const was = before[position];
    assert.ok(was !== undefined);
    const is = await held(node);
    t.diagnostic(
      `${node}: resident ${was.residentMb.toFixed(1)} -> ${is.residentMb.toFixed(1)} MB, heap ${was.heapMb.toFixed(1)} -> ${is.heapMb.toFixed(1)} MB, files ${was.files} -> ${is.files}`,
    );
    assert.ok(is.files <= was.files, `${is.files - was.files} descriptors are left in ${node}`);
    assert.ok(
      is.residentMb < 1.1 * was.residentMb,
      `resident memory of ${node} went from ${was.residentMb} to ${is.residentMb} MB`,
    );
    const opened = await metric(stage, node, "istio_tcp_connections_opened_total");
    const closed = await metric(stage, node, "istio_tcp_connections_closed_total");
    assert.equal(closed, opened);
    assert.ok(opened >= CONNECTIONS + WARM_UP_CONNECTIONS);
  }
});
