import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DATABASE_PORT } from "../../src/cli/demo/apps/protocol.ts";
import { underLoad } from "../../src/cli/demo/scenes/load.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import { isReady } from "../../src/cli/world/mesh.ts";
import { program } from "../support/program.ts";
import {
  answers,
  closeStage,
  configDump,
  enroll,
  http,
  openStage,
  untilAnswers,
  untilReady,
  untilRedirected,
} from "../support/stage.ts";

let stage: Stage;

before(async () => {
  stage = await openStage({ enrolled: false });
});

after(() => closeStage(stage));

test("a port that is taken in one pod leaves the other pods alone, and the pod follows when it is free", async () => {
  // Without SO_REUSEPORT, so that nobody can listen beside it.
  const script =
    "require('net').createServer().listen({host: '::', port: 15001}, () => console.log('taken'))";
  const squatter = stage.world.start("orders", {
    name: "squatter",
    command: [process.execPath, "-e", script],
  });
  await squatter.waitForLine((line) => line === "taken", 5_000, "taken");
  stage.enroll(true);
  const others = stage.shopPods.filter(({ name }) => name !== "orders");
  await eventually("the other pods were not enrolled", 15_000, async () => {
    const uids = await stage.redirectedUids();
    return others.every(({ uid }) => uids.includes(uid)) || undefined;
  });
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
  assert.ok(await answers(stage, "orders", http(stage, "catalog-v2")), "orders lost its network");
  assert.ok(!(await stage.redirectedUids()).includes(stage.pod("orders").uid));
  assert.equal(await isReady(stage.mesh.ztunnel("node1").pod.ip), false);
  await squatter.stop("SIGKILL");
  await untilRedirected(stage, true);
  await untilReady(stage, "node1");
  await untilAnswers(stage, "orders", http(stage, "catalog-v2"), true);
});

test("a second ztunnel in the same namespace ends with a reason", async () => {
  const { netns } = stage.mesh.ztunnel("node1").pod;
  const second = stage.world.start(netns, {
    name: "second ztunnel",
    command: [...program, "ztunnel"],
    env: { XDS_ADDRESS: "", CA_ADDRESS: "", NODE_NAME: "node1" },
  });
  const exit = await second.exited;
  assert.equal(exit.code, 1);
  assert.match(second.tail.join("\n"), /150(00|20|21)/);
  assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
});

test("enrolling and releasing again and again under load fails no request", async () => {
  await underLoad(stage, async () => {
    await enroll(stage, false);
    await enroll(stage, true);
  });
});

test("both ztunnels are replaced under load, and no new connection fails", async () => {
  await underLoad(stage, async () => {
    await stage.mesh.replaceZtunnel("node1");
    await stage.mesh.replaceZtunnel("node2");
  });
});

test("SIGTERM: an open connection may end by itself, then the process does", async () => {
  const old = stage.mesh.ztunnel("node2").process;
  const orders = stage.app("orders");
  const target = { host: stage.pod("db").ip, port: DATABASE_PORT };
  await orders.call("open", { session: "draining", ...target });
  await stage.mesh.startZtunnel("node2");
  const startedMs = performance.now();
  old.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { answer } = await orders.call("ask", { session: "draining", question: "still there" });
  assert.match(answer, /still there$/);
  assert.ok(old.running, "the old one did not wait");
  await orders.call("close", { session: "draining" });
  const exit = await old.exited;
  assert.equal(exit.code, 0);
  assert.ok(performance.now() - startedMs < 4_000, "it waited for nothing");
});

test("SIGTERM: what is still open at the deadline is cut", async () => {
  const old = stage.mesh.ztunnel("node2").process;
  const orders = stage.app("orders");
  const target = { host: stage.pod("db").ip, port: DATABASE_PORT };
  await orders.call("open", { session: "forced", ...target });
  await stage.mesh.startZtunnel("node2");
  old.kill("SIGTERM");
  const exit = await old.exited;
  assert.equal(exit.code, 0);
  await eventually("the connection outlived its ztunnel", 2_000, () => orders.sessionEnd("forced"));
  assert.ok(await answers(stage, "orders", http(stage, "catalog-v2")));
});

test("a pod that vanishes disturbs nobody", async () => {
  await stage.app("catalog-v1").process.stop("SIGKILL");
  await stage.world.deleteNamespace("catalog-v1");
  for (let round = 0; round < 5; round++)
    assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
  assert.ok(!(await answers(stage, "web", http(stage, "catalog-v1"))));
  stage.removePod("catalog-v1");
  await eventually("the ztunnel keeps the pod", 10_000, async () => {
    const { workloadState } = await configDump(stage, "node1");
    const names = Object.values(workloadState).map(({ info }) => info.name);
    return !names.includes("catalog-v1") || undefined;
  });
  assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
  assert.ok(await isReady(stage.mesh.ztunnel("node1").pod.ip));
});
