/** What requests leave behind in the waypoint: nothing. */
import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  burst,
  catalog,
  untilRoute,
  withBehavior,
  withObjects,
} from "../../src/cli/demo/scenes/waypoint/helpers.ts";
import { bringUpWaypoint } from "../../src/cli/demo/scenes/waypoint/lifecycle.ts";
import { toCatalog, virtualService } from "../../src/cli/demo/scenes/waypoint/objects.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import type { ManagedProcess } from "../../src/cli/world/process.ts";
import { closeStage, openStage } from "../support/stage.ts";

const REQUESTS = 20_000;
/** The collector is lazy up to a share of what lives; 2 KB a request that stay would show. */
const GROWTH_LIMIT_MB = 40;
const STREAM_BYTES = 200 << 20;
const STREAM_GROWTH_LIMIT_MB = 60;
const IDLE_LIMIT_MB = 120;

let stage: Stage;
let waypoint: ManagedProcess;

before(async () => {
  stage = await openStage();
  waypoint = (await bringUpWaypoint(stage)).process;
});

after(() => closeStage(stage));

function residentMb(): number {
  return waypoint.residentKib() / 1024;
}

test("a waypoint that has served its first requests is small", (t) => {
  t.diagnostic(`resident memory is ${residentMb().toFixed(0)} MB`);
  assert.ok(residentMb() < IDLE_LIMIT_MB);
});

test(`${REQUESTS} requests leave no memory and no descriptor behind`, async (t) => {
  await burst(stage, REQUESTS / 4);
  const before = { mb: residentMb(), files: waypoint.openFiles() };
  const { byStatus, tookMs } = await burst(stage, REQUESTS);
  assert.deepEqual(byStatus, { 200: REQUESTS });
  const grownMb = residentMb() - before.mb;
  t.diagnostic(
    `${before.mb.toFixed(0)} MB, then ${residentMb().toFixed(0)} MB; ${Math.round((REQUESTS * 1_000) / tookMs)} requests a second`,
  );
  assert.ok(grownMb < GROWTH_LIMIT_MB, `it grew by ${grownMb.toFixed(0)} MB`);
  await eventually(
    () => `${before.files} descriptors became ${waypoint.openFiles()}`,
    10_000,
    () => waypoint.openFiles() <= before.files + 2 || undefined,
  );
});

test("2,000 requests on connections of their own leave no descriptor behind", async () => {
  const before = waypoint.openFiles();
  const web = stage.app("web");
  for (let round = 0; round < 100; round++)
    await Promise.all(Array.from({ length: 20 }, () => web.call("get", catalog)));
  await eventually(
    () => `${before} descriptors became ${waypoint.openFiles()}`,
    10_000,
    () => waypoint.openFiles() <= before + 4 || undefined,
  );
});

test("200 MB to a slow reader: all of it arrives, memory stays bounded, neighbors are served", async (t) => {
  const before = residentMb();
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, residentMb());
  }, 100);
  // 400 pauses of 20 ms: the server is done long before the reader unless it is held back.
  const slow = stage.app("web").call("download", {
    ...catalog,
    bytes: STREAM_BYTES,
    pauseEveryBytes: 512 * 1024,
    pauseMs: 20,
  });
  const neighbors = await burst(stage, 200);
  const { bytes, tookMs } = await slow;
  clearInterval(watch);
  assert.equal(bytes, STREAM_BYTES);
  assert.deepEqual(neighbors.byStatus, { 200: 200 });
  t.diagnostic(
    `${(bytes / tookMs / 1_000).toFixed(0)} MB/s; ${before.toFixed(0)} MB before, ${most.toFixed(0)} MB at most; slowest neighbor ${neighbors.longestMs} ms`,
  );
  assert.ok(tookMs > 6_000, "the reader was not slow");
  assert.ok(most - before < STREAM_GROWTH_LIMIT_MB, `it grew by ${(most - before).toFixed(0)} MB`);
});

test("requests that run into their timeout free everything", async () => {
  const timed = virtualService("catalog", "timed-out", [
    { route: toCatalog, timeout: "50ms", retries: { attempts: 0 } },
  ]);
  await withObjects(stage, [timed], async () => {
    await untilRoute(stage, "timed-out");
    const before = waypoint.openFiles();
    await withBehavior(stage, ["catalog-v1", "catalog-v2"], { delayMs: 400 }, async () => {
      const { byStatus } = await burst(stage, 200);
      assert.deepEqual(byStatus, { 504: 200 });
    });
    await eventually(
      () => `${before} descriptors became ${waypoint.openFiles()}`,
      10_000,
      () => waypoint.openFiles() <= before + 4 || undefined,
    );
    assert.deepEqual((await burst(stage, 50)).byStatus, { 200: 50 });
  });
});
