/** The waypoint in the whole mesh: what changes and what fails around it, while requests go on. */
import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { underLoad } from "../../src/cli/demo/scenes/load.ts";
import {
  attempt,
  burst,
  orders,
  principal,
  serviceCallers,
  untilReply,
  untilRoute,
  withObjects,
  writeObjects,
} from "../../src/cli/demo/scenes/waypoint/helpers.ts";
import { bringUpWaypoint } from "../../src/cli/demo/scenes/waypoint/lifecycle.ts";
import {
  catalogVersions,
  servicePolicy,
  shares,
  toCatalog,
  virtualService,
} from "../../src/cli/demo/scenes/waypoint/objects.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import { closeStage, openStage } from "../support/stage.ts";

let stage: Stage;

before(async () => {
  stage = await openStage();
  await bringUpWaypoint(stage);
});

after(() => closeStage(stage));

function onlyWaypoint() {
  const [waypoint, other] = stage.waypoints.running;
  assert.ok(waypoint !== undefined && other === undefined);
  return waypoint;
}

test("routes change twenty times under load, and no request fails", async (t) => {
  const route = (mark: string, v1: number) => [
    catalogVersions,
    virtualService("catalog", mark, [{ route: shares(v1, 100 - v1) }]),
  ];
  await withObjects(stage, route("change-0", 50), async () => {
    const { requests, longestMs, outcome } = await underLoad(
      stage,
      async () => {
        const tookMs: number[] = [];
        for (let change = 1; change <= 20; change++) {
          writeObjects(stage, route(`change-${change}`, (change * 5) % 100));
          tookMs.push(await untilRoute(stage, `change-${change}`));
        }
        return tookMs;
      },
      serviceCallers,
    );
    t.diagnostic(
      `${requests} requests, slowest ${longestMs} ms; in force after ${outcome.join(", ")} ms`,
    );
  });
});

test("a policy change holds for the next request on an open connection; others notice nothing", async () => {
  const denyOrders = servicePolicy("no-orders", "catalog", {
    action: "DENY",
    rules: [{ from: [{ source: { principals: [principal("orders")] } }] }],
  });
  const webOnly = serviceCallers.filter(({ app }) => app === "web");
  await underLoad(
    stage,
    async () => {
      const load = "kept";
      const targets = [{ host: "10.96.0.11", port: 80 }];
      await stage
        .app("orders")
        .call("loadStart", { load, targets, perSecond: 50, keepAlive: true });
      await withObjects(stage, [denyOrders], () =>
        untilReply(stage, "orders is still let in", ({ status }) => status === 403, {}, "orders"),
      );
      await untilReply(stage, "orders is not back", ({ status }) => status === 200, {}, "orders");
      const { ok, failed, failures } = await stage.app("orders").call("loadEnd", { load });
      assert.ok(ok > 0 && failed > 0, "the open connection was not concerned");
      for (const { reason } of failures) assert.match(reason, /^status 403: RBAC: access denied/);
    },
    webOnly,
  );
});

test("objects that are wrong are refused or answered as the reference does, and the rest goes on", async () => {
  const nowhere = virtualService("catalog", "nowhere", [
    { route: [{ destination: { host: "catalog", subset: "missing" } }] },
  ]);
  await withObjects(stage, [catalogVersions, nowhere], async () => {
    await untilReply(stage, "a subset that is not there answers", ({ status }) => status === 503);
    assert.equal((await attempt(stage, orders)).status, 200);
  });
  await untilReply(stage, "the catalog is not back", ({ status }) => status === 200);
});

test("without a control plane the waypoint serves on, and its successor delivers what changed", async (t) => {
  const { requests } = await underLoad(
    stage,
    async () => {
      stage.mesh.controlPlane.kill("SIGKILL");
      await stage.mesh.controlPlane.exited;
      writeObjects(stage, [virtualService("catalog", "after-absence", [{ route: toCatalog }])]);
      const { byStatus } = await burst(stage, 100);
      assert.deepEqual(byStatus, { 200: 100 });
      await stage.mesh.startControlPlane();
      await eventually("the successor's routes do not arrive", 30_000, async () => {
        const { headers } = await attempt(stage);
        return headers["x-shop-route"] === "after-absence" || undefined;
      });
    },
    serviceCallers,
  );
  stage.folder.remove("requests");
  t.diagnostic(`${requests} requests, none failed`);
});

test("two waypoints share the requests, and one of them goes without a failure", async (t) => {
  const first = onlyWaypoint();
  const { outcome, requests } = await underLoad(
    stage,
    async () => {
      const second = await stage.waypoints.start();
      const counts = new Map<string, number>();
      const offs = [first, second].map((waypoint) =>
        waypoint.process.onLine((line) => {
          if (line.includes('"path":"/shared"'))
            counts.set(waypoint.pod, (counts.get(waypoint.pod) ?? 0) + 1);
        }),
      );
      await eventually("one of them gets nothing", 15_000, async () => {
        for (let round = 0; round < 10; round++) await attempt(stage, { path: "/shared" });
        return counts.size === 2 || undefined;
      });
      for (const off of offs) off();
      const exit = await stage.waypoints.stop(first);
      return { exit, counts: [...counts] };
    },
    serviceCallers,
  );
  assert.equal(outcome.exit.code, 0);
  t.diagnostic(`${requests} requests, none failed; shared as ${JSON.stringify(outcome.counts)}`);
});

test("one of two is killed: requests go on by the other one once its pod is gone", async () => {
  const survivor = onlyWaypoint();
  const victim = await stage.waypoints.start();
  await stage.waypoints.kill(victim);
  stage.waypoints.forget(victim.pod);
  await eventually("requests still fail", 10_000, async () => {
    const { byStatus } = await burst(stage, 40);
    return byStatus["200"] === 40 || undefined;
  });
  assert.deepEqual(stage.waypoints.running, [survivor]);
});

test("the only waypoint is killed: closed meanwhile, and back with the next one", async () => {
  await stage.waypoints.kill(onlyWaypoint());
  const path = "/while-dead";
  for (let round = 0; round < 5; round++)
    assert.notEqual((await attempt(stage, { path })).status, 200);
  for (const pod of ["catalog-v1", "catalog-v2"])
    assert.deepEqual((await stage.app(pod).call("seen", { path })).requests, []);
  stage.waypoints.forget("wp-a");
  stage.waypoints.forget("wp-b");
  await stage.waypoints.start();
  await untilReply(stage, "the catalog is not back", ({ status }) => status === 200);
  assert.deepEqual((await burst(stage, 100)).byStatus, { 200: 100 });
});
