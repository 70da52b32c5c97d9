import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as httpServer } from "node:http";
import { after, before, test } from "node:test";
import { program } from "../../support/program.ts";
import { WaypointStage } from "../../support/waypoint/stage.ts";

const [node = "", ...flags] = program;
const stage = new WaypointStage({ env: { CONNECTION_TERMINATION_DEADLINE: "2s" } });
let waypoint: ChildProcess;
let output = "";

before(async () => {
  stage.addIps("10.10.1.11", "10.10.2.11");
  for (const ip of ["10.10.1.11", "10.10.2.11"]) {
    await stage.listen(
      httpServer((_request, response) => response.end(ip)),
      ip,
      8080,
    );
    await stage.ztunnel(ip, "shop/reviews");
  }
  const env = await stage.surround();
  // As istiod's template starts it.
  const args = ["proxy", "waypoint", "--domain", "shop.svc.cluster.local", "--log_as_json"];
  waypoint = spawn(node, [...flags, ...args], { env: { ...env, PATH: process.env["PATH"] } });
  for (const stream of [waypoint.stdout, waypoint.stderr])
    stream?.on("data", (chunk) => {
      output += String(chunk);
    });
  await stage.ready();
});

after(async () => {
  waypoint.kill("SIGKILL");
  await stage.close();
});

test("the process that the reference's pod template starts serves requests", async () => {
  const web = await stage.client("shop/web");
  const { status, body } = await stage.get(web, "10.96.1.1:80", "/");
  assert.equal(status, 200);
  assert.match(body, /^10\.10\.[12]\.11$/);
  assert.deepEqual(stage.player.refusals, []);
  assert.match(output, /^\{"level":"info",/);
});

test("it stays small while it has little to do", () => {
  const status = readFileSync(`/proc/${waypoint.pid}/status`, "utf8");
  const residentMb = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  assert.ok(residentMb < 120, `${residentMb} MB`);
});

test("SIGTERM drains it, and it exits with 0", async () => {
  waypoint.kill("SIGTERM");
  const [code] = (await once(waypoint, "exit")) as [number];
  assert.equal(code, 0);
  assert.match(output, /shutting down/);
});

test("a start without what it needs names all of it and exits with 1", () => {
  const { status, stderr } = spawnSync(node, [...flags, "waypoint"], { env: {}, encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^ambit: .*INSTANCE_IP: required.*POD_NAME: required.*SERVICE_ACCOUNT: required.*\n$/,
  );
});

test("a port that is taken stops the start with its name", async () => {
  const holder = httpServer();
  await once(holder.listen(15021, "0.0.0.0"), "listening");
  const env = {
    POD_NAME: "w",
    POD_NAMESPACE: "shop",
    SERVICE_ACCOUNT: "w",
    INSTANCE_IP: "10.10.2.50",
    IPV6_ENABLED: "false",
  };
  const { status, stderr } = spawnSync(node, [...flags, "waypoint"], {
    env,
    encoding: "utf8",
    timeout: 10_000,
  });
  holder.close();
  assert.equal(status, 1);
  assert.match(stderr, /Cannot bind the readiness server to 0\.0\.0\.0 port 15021/);
});
