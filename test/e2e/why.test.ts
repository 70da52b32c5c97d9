/** `ambit why` and SOCKS5 in the whole mesh: what it says is what happens, live and offline in the same words. */
import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { HTTP_PORT } from "../../src/cli/demo/apps/protocol.ts";
import { SHOP_NAMESPACE } from "../../src/cli/demo/shop.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import { program } from "../support/program.ts";
import { answers, closeStage, http, openStage, untilAnswers } from "../support/stage.ts";

const run = promisify(execFile);

let stage: Stage;

before(async () => {
  stage = await openStage({ ztunnelEnv: { UNSTABLE_ENABLE_SOCKS5: "true" } });
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
});

after(() => closeStage(stage));

function denyWeb(): void {
  stage.folder.write("policy", [
    {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: "not-web", namespace: SHOP_NAMESPACE },
      spec: {
        selector: { matchLabels: { app: "catalog", version: "v2" } },
        action: "DENY",
        rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }] }],
      },
    },
  ]);
}

interface Told {
  readonly lines: readonly string[];
  readonly recent: readonly string[];
}

function split(stdout: string): Told {
  const lines = stdout.trimEnd().split("\n");
  const recent = lines.findIndex((line) => line.startsWith("recently"));
  return recent < 0
    ? { lines, recent: [] }
    : { lines: lines.slice(0, recent), recent: lines.slice(recent) };
}

/** Asked on a node, as its operator would. */
async function live(node: string, to: string): Promise<Told> {
  const { netns } = stage.mesh.ztunnel(node).pod;
  const command = [...program, "why", "--from", "web", "--to", to];
  const { stdout, stderr } = await stage.world.run(netns, command);
  assert.equal(stderr, "");
  return split(stdout);
}

async function offline(to: string): Promise<Told> {
  const [executable = "", ...flags] = program;
  const words = [...flags, "why", "--config", stage.folder.path, "--from", "web", "--to", to];
  return split((await run(executable, words)).stdout);
}

test("an allowed connection: the answer, and what happens", async () => {
  const to = "catalog.shop.svc.cluster.local:80";
  const told = await live("node1", to);
  assert.equal(told.lines.at(-1), "verdict  ALLOWED: no allow policies, allow");
  assert.deepEqual(told.recent, []);
  assert.deepEqual(told, await offline(to));
});

test("a denied one: rule and record at the destination's node, the refusal at the source's", async () => {
  const target = http(stage, "catalog-v2");
  const to = `${target.host}:${target.port}`;
  denyWeb();
  await untilAnswers(stage, "web", target, false);
  // The push may have cut the last one while it was open; this one meets the policy at the door.
  assert.equal(await answers(stage, "web", target), false);
  const there = await live("node2", to);
  const verdict = "verdict  DENIED: explicitly denied by: shop/not-web (rule 0)";
  assert.equal(there.lines.at(-1), verdict);
  assert.match(
    there.recent[0] ?? "",
    /inbound denied: explicitly denied by: shop\/not-web \(shop\/not-web rule 0\)$/,
  );
  const here = await live("node1", to);
  assert.deepEqual(here.lines, there.lines, "every node says the same");
  assert.match(here.recent[0] ?? "", /outbound refused: http status: 401 Unauthorized$/);
  assert.deepEqual((await offline(to)).lines, there.lines, "and so do the objects");
});

test("through a service it depends on the endpoint, and it says so", async () => {
  const told = await live("node1", "catalog:80");
  assert.equal(told.lines.at(-1), "verdict  IT DEPENDS: of 2 paths, allowed by 1, denied by 1");
  assert.ok(told.lines.some((line) => line.includes("shop/catalog-v1: allowed")));
});

test("SOCKS5: curl in a pod reaches a service by name, and is told of a denial", async (t) => {
  const curl = await run("curl", ["--version"]).catch(() => undefined);
  if (curl === undefined) return t.skip("curl is not installed");
  const { netns } = stage.pod("web");
  const fetchFrom = (url: string) =>
    stage.world.run(netns, [
      "curl",
      ...["-sS", "--max-time", "5", "--socks5-hostname", "127.0.0.1:15080", url],
    ]);
  const v1 = stage.pod("catalog-v1");
  const byAddress = await fetchFrom(`http://${v1.ip}:${HTTP_PORT}/`);
  assert.match(byAddress.stdout, /catalog-v1/);
  const denied = await fetchFrom(`http://${stage.pod("catalog-v2").ip}:${HTTP_PORT}/`);
  assert.match(denied.stderr, /\(2\)/);
  const byName = await fetchFrom("http://orders.shop.svc.cluster.local/");
  assert.match(byName.stdout, /orders/);
  assert.ok(await answers(stage, "web", http(stage, "orders")));
  await eventually("the connection stands in the access log", 5_000, async () => {
    const found = stage.access
      .since(0)
      .some((entry) => entry.direction === "outbound" && JSON.stringify(entry).includes(v1.ip));
    return found || undefined;
  });
});
