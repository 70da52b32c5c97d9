/** `ambit why` through the waypoint: asked of the running proxies and of the objects, and what requests then meet. */
import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import {
  ask,
  principal,
  untilReply,
  untilRoute,
  withObjects,
} from "../../src/cli/demo/scenes/waypoint/helpers.ts";
import { bringUpWaypoint } from "../../src/cli/demo/scenes/waypoint/lifecycle.ts";
import {
  catalogVersions,
  servicePolicy,
  shares,
  virtualService,
} from "../../src/cli/demo/scenes/waypoint/objects.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import { program } from "../support/program.ts";
import { closeStage, openStage } from "../support/stage.ts";

const run = promisify(execFile);
const TO = "catalog.shop.svc.cluster.local:80";
/** Where the waypoint's admin port is reached from the ztunnel's namespace, as by a port-forward. */
const FORWARDED_PORT = 15100;

let stage: Stage;

before(async () => {
  stage = await openStage();
  const { pod } = await bringUpWaypoint(stage);
  await forwardAdmin(pod);
});

after(() => closeStage(stage));

/** Two relays that meet at a socket in the file system, since both ends are loopbacks of namespaces of their own. */
async function forwardAdmin(pod: string): Promise<void> {
  const meeting = stage.world.path("admin.sock");
  const relay = (from: string, to: string): string => `
    const net = require("node:net");
    const server = net.createServer((a) => {
      const b = net.connect(${to});
      a.pipe(b).pipe(a);
      for (const s of [a, b]) s.on("error", () => { a.destroy(); b.destroy(); });
    });
    server.listen(${from}, () => console.log("listening"));`;
  const inWaypoint = JSON.stringify({ host: "127.0.0.1", port: 15_000 });
  const inZtunnel = JSON.stringify({ host: "127.0.0.1", port: FORWARDED_PORT });
  const ends = [
    { netns: stage.pod(pod).netns, script: relay(JSON.stringify(meeting), inWaypoint) },
    {
      netns: stage.mesh.ztunnel("node1").pod.netns,
      script: relay(inZtunnel, JSON.stringify(meeting)),
    },
  ];
  for (const { netns, script } of ends)
    await stage.world
      .start(netns, { name: `relay in ${netns}`, command: [process.execPath, "-e", script] })
      .waitForLine((line) => line === "listening", 10_000, "that it listens");
}

async function live(...request: readonly string[]): Promise<string> {
  const { netns } = stage.mesh.ztunnel("node1").pod;
  const { stdout, stderr } = await stage.world.run(netns, [
    ...program,
    ...["why", "--from", "web", "--to", TO],
    ...["--waypoint-admin", `127.0.0.1:${FORWARDED_PORT}`, ...request],
  ]);
  assert.equal(stderr, "");
  return stdout.trimEnd();
}

async function offline(...request: readonly string[]): Promise<string> {
  const [executable = "", ...flags] = program;
  const words = ["why", "--config", stage.folder.path, "--from", "web", "--to", TO];
  return (await run(executable, [...flags, ...words, ...request])).stdout.trimEnd();
}

function verdictOf(text: string): string {
  return text.split("\n").at(-1) ?? "";
}

test("a request that is routed: live and from the objects, and so it happens", async () => {
  const testers = virtualService("catalog", "by-header", [
    { match: [{ headers: { "x-group": { exact: "testers" } } }], route: shares(0, 100) },
    { route: shares(100, 0) },
  ]);
  await withObjects(stage, [catalogVersions, testers], async () => {
    await untilRoute(stage, "by-header");
    const request = ["--header", "x-group: testers"];
    const told = await live(...request);
    const [, there = ""] = told.split("at the waypoint shop/wp-a");
    assert.match(verdictOf(told), /^verdict {2}ALLOWED/);
    assert.match(there, /header x-group "testers".*virtual-service\/catalog/);
    assert.ok(there.includes(stage.pod("catalog-v2").ip), told);
    assert.ok(!there.includes(stage.pod("catalog-v1").ip), told);
    const objects = await offline(...request);
    assert.equal(verdictOf(objects), verdictOf(told));
    const { greeting } = await ask(stage, { headers: { "x-group": "testers" } });
    assert.equal(greeting?.pod, "catalog-v2");
  });
});

test("a request that a policy denies: rule and policy are named, and so it happens", async () => {
  const policy = servicePolicy("no-delete", "catalog", {
    action: "DENY",
    rules: [
      {
        from: [{ source: { principals: [principal("web")] } }],
        to: [{ operation: { methods: ["DELETE"] } }],
      },
    ],
  });
  await withObjects(stage, [policy], async () => {
    const request = { method: "DELETE" };
    await untilReply(stage, "DELETE is not denied", ({ status }) => status === 403, request);
    const told = await live("--method", "DELETE");
    assert.match(verdictOf(told), /^verdict {2}DENIED/);
    assert.match(told, /no-delete/);
    const objects = await offline("--method", "DELETE");
    assert.equal(verdictOf(objects), verdictOf(told));
    assert.match(objects, /no-delete/);
    assert.match(verdictOf(await live("--method", "GET")), /^verdict {2}ALLOWED/);
    const decisions = await eventually("no decision is kept", 5_000, async () => {
      const url = `http://127.0.0.1:${FORWARDED_PORT}/debug/decisions`;
      const script = `fetch(${JSON.stringify(url)}).then((r) => r.text()).then((t) => process.stdout.write(t))`;
      const { netns } = stage.mesh.ztunnel("node1").pod;
      const { stdout } = await stage.world.run(netns, [process.execPath, "-e", script]);
      return stdout.includes("no-delete") ? stdout : undefined;
    });
    assert.match(decisions, /spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web/);
  });
});
