import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { reportWire } from "../../src/cli/demo/scenes/wire.ts";
import type { Stage } from "../../src/cli/demo/stage.ts";
import {
  answers,
  closeStage,
  enroll,
  http,
  openStage,
  untilAnswers,
  untilReady,
  untilRedirected,
} from "../support/stage.ts";

let stage: Stage;

before(async () => {
  stage = await openStage();
});

after(() => closeStage(stage));

const denyAll = {
  apiVersion: "security.istio.io/v1",
  kind: "AuthorizationPolicy",
  metadata: { name: "deny-all", namespace: "shop" },
  spec: {},
};

test("without a control plane connections go on, and its successor delivers what changed", async () => {
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
  stage.mesh.controlPlane.kill("SIGKILL");
  await stage.mesh.controlPlane.exited;
  for (let round = 0; round < 5; round++)
    assert.ok(await answers(stage, "web", http(stage, "catalog-v2")), "a request failed");
  stage.folder.write("policies", [denyAll]);
  await stage.mesh.startControlPlane();
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), false, 25_000);
  stage.folder.remove("policies");
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
});

test("without a node agent connections go on, and its successor enrolls and releases", async () => {
  stage.mesh.nodeAgent("node1").kill("SIGKILL");
  await stage.mesh.nodeAgent("node1").exited;
  for (let round = 0; round < 5; round++)
    assert.ok(await answers(stage, "web", http(stage, "catalog-v2")), "a request failed");
  await stage.mesh.startNodeAgent("node1");
  await untilReady(stage, "node1");
  await untilRedirected(stage, true);
  assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
  await enroll(stage, false);
  assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
  await enroll(stage, true);
  assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
});

test("without a ztunnel pods of its node fail closed, and with the next one they are back", async () => {
  const mark = stage.link.mark();
  stage.mesh.ztunnel("node1").process.kill("SIGKILL");
  await stage.mesh.ztunnel("node1").process.exited;
  assert.ok(!(await answers(stage, "web", http(stage, "catalog-v2"))), "traffic bypassed the mesh");
  assert.ok(!(await answers(stage, "catalog-v2", http(stage, "web"))), "traffic bypassed the mesh");
  await stage.mesh.startZtunnel("node1");
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
  await untilAnswers(stage, "catalog-v2", http(stage, "web"), true);
  assert.equal(reportWire(stage.link.since(mark)).readable.length, 0, "payload in clear");
});
