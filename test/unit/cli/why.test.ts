/** The command itself: offline, live against a real admin port, its exit codes and its errors. */
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import type { CommandIo } from "../../../src/cli/command.ts";
import { main } from "../../../src/cli/main.ts";
import { type AdminServer, startAdminServer } from "../../../src/shared/admin/http-server.ts";
import { MeshStore } from "../../../src/shared/model/store.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import { ztunnelRoutes } from "../../../src/ztunnel/admin/routes.ts";
import { loadConfig } from "../../../src/ztunnel/config.ts";
import { DecisionRing } from "../../../src/ztunnel/proxy/decisions.ts";
import { makePolicy, makeRule, makeService, makeWorkload } from "../../support/mesh-builders.ts";

const golden = resolve(import.meta.dirname, "../../golden");
const denyPort = join(golden, "l4-authz-deny-namespace-port/input.yaml");

async function ambit(...args: string[]) {
  const out = { stdout: "", stderr: "", code: -1 };
  const io: CommandIo = {
    env: {},
    stdout: (text) => {
      out.stdout += text;
    },
    stderr: (text) => {
      out.stderr += text;
    },
    shutdown: new AbortController().signal,
    kill: new AbortController().signal,
    entry: new URL(import.meta.url),
  };
  out.code = await main(["why", ...args], io);
  return out;
}

describe("offline", () => {
  test("tells of a denial and exits 0, or 1 when asked to check", async () => {
    const question = ["--config", denyPort, "--from", "legacy/old-1", "--to", "shop/db:5432"];
    const told = await ambit(...question);
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stdout, /^verdict {2}DENIED: explicitly denied by: shop\/no-legacy-db/m);
    const checked = await ambit(...question, "--check");
    assert.equal(checked.code, 1);
    assert.equal(checked.stdout, told.stdout);
    assert.equal(checked.stderr, "ambit: the connection is not allowed: denied\n");
  });

  test("--check is content with what is allowed", async () => {
    const { code } = await ambit(
      ...["--config", denyPort, "--from", "web-1", "--to", "db:5432", "--check"],
    );
    assert.equal(code, 0);
  });

  test("--json prints the record", async () => {
    const { stdout } = await ambit(
      ...["--config", denyPort, "--from", "old-1", "--to", "10.10.2.13:5433", "--json"],
    );
    const record = JSON.parse(stdout);
    assert.equal(record.verdict, "denied");
    assert.equal(record.paths[0].hops[0].arrival.decision.decidedBy.policy, "shop/no-legacy-db");
  });

  const wrong: readonly (readonly [string, string[], number, RegExp])[] = [
    [
      "a folder that is not there",
      ["--config", "/nowhere", "--from", "a", "--to", "b:1"],
      1,
      /^ambit: Cannot read objects from \/nowhere/,
    ],
    [
      "a source that is not there",
      ["--config", denyPort, "--from", "a", "--to", "b:1"],
      1,
      /^ambit: Cannot find the source "a"/,
    ],
    [
      "no port",
      ["--config", denyPort, "--from", "web-1", "--to", "db"],
      1,
      /^ambit: Cannot read the destination "db"/,
    ],
    ["no source", ["--to", "b:1"], 2, /--from/],
    [
      "an admin address that is none",
      ["--admin", "::::", "--from", "a", "--to", "b:1"],
      2,
      /expected a URL/,
    ],
  ];
  for (const [name, args, code, message] of wrong)
    test(`${name}: exit ${code}`, async () => {
      const failed = await ambit(...args);
      assert.equal(failed.code, code);
      assert.match(failed.stderr, message);
    });
});

describe("live", () => {
  const servers: AdminServer[] = [];
  after(() => Promise.all(servers.map((server) => server.close())));

  async function node(env: Readonly<Record<string, string>> = {}) {
    const config = loadConfig({
      env,
      readFile: () => undefined,
      fileExists: () => false,
      cpus: 1,
    });
    const store = new MeshStore();
    const behind = { "shop/orders.shop.svc.cluster.local": { 80: 8080 } } as const;
    store.apply({
      addresses: [
        { kind: "workload", workload: makeWorkload("web", { ips: ["10.1.0.1"] }) },
        { kind: "workload", workload: makeWorkload("orders", { ips: ["10.1.0.2"], behind }) },
        {
          kind: "service",
          service: makeService("orders", { at: ["/10.96.0.1"], ports: { 80: 8080 } }),
        },
        {
          kind: "workload",
          workload: makeWorkload("far", {
            hostname: "far.example",
            protocol: "TCP",
            behind: { "shop/far.example": { 443: 443 } },
          }),
        },
        {
          kind: "service",
          service: makeService("far", {
            hostname: "far.example",
            at: ["/240.240.0.5"],
            ports: { 443: 443 },
          }),
        },
      ],
      policies: [
        makePolicy("no-web", {
          action: "Deny",
          rules: [makeRule({ serviceAccounts: [{ namespace: "shop", serviceAccount: "web" }] })],
        }),
      ],
    });
    const decisions = new DecisionRing(10);
    const refusal = (port: number, source: string): void =>
      decisions.add({
        wallMs: Date.UTC(2026, 0, 1),
        direction: "inbound",
        pod: { namespace: "shop", name: "orders" },
        own: undefined,
        source: { ip: ipOf(source), port: 50_000 },
        destination: { ip: ipOf("10.1.0.2"), port },
        outcome: { kind: "refused", code: "tls-failed", message: `about port ${port}` },
      });
    refusal(8080, "10.1.0.1");
    refusal(9090, "10.1.0.1");
    refusal(8080, "10.1.0.9");
    const routes = ztunnelRoutes(
      {
        config,
        store,
        certificates: () => [],
        pods: undefined,
        version: "test",
        staticConfig: { workloads: [], policies: [], services: [] },
      },
      decisions,
      (hostname) => Promise.resolve(hostname === "far.example" ? [ipOf("192.0.2.80")] : []),
    );
    const server = await startAdminServer({ name: "admin", hosts: ["127.0.0.1"], port: 0, routes });
    servers.push(server);
    return `127.0.0.1:${server.port}`;
  }

  test("answers from the node's state, with the decisions that fit", async () => {
    const admin = await node();
    const told = await ambit("--admin", admin, "--from", "web", "--to", "orders:80");
    assert.equal(told.code, 0, told.stderr);
    assert.match(
      told.stdout,
      /^verdict {2}DENIED: explicitly denied by: shop\/no-web \(rule 0\)$/m,
    );
    const recent = told.stdout.split("\n").filter((line) => line.includes("about port"));
    assert.deepEqual(recent, [
      "recently 2026-01-01T00:00:00.000000Z inbound refused: about port 8080",
    ]);
  });

  test("--check and --json", async () => {
    const admin = await node();
    const checked = await ambit(
      ...["--admin", `http://${admin}`, "--from", "10.1.0.1", "--to", "10.1.0.2:8080"],
      ...["--json", "--check"],
    );
    assert.equal(checked.code, 1);
    const record = JSON.parse(checked.stdout);
    assert.equal(record.recent.length, 1);
    assert.equal(record.verdict, "denied");
  });

  test("names are looked up as a connection would", async () => {
    const admin = await node();
    const told = await ambit("--admin", admin, "--from", "web", "--to", "far.example:443");
    assert.match(told.stdout, /plain TCP to 192\.0\.2\.80:443 \(shop\/far\)/);
    assert.match(told.stdout, /^verdict {2}ALLOWED/m);
  });

  test("a node that knows only what it asked for says so", async () => {
    const admin = await node({ XDS_ON_DEMAND: "true", ISTIO_META_DNS_CAPTURE: "false" });
    const told = await ambit("--admin", admin, "--from", "web", "--to", "10.1.0.2:8080");
    assert.match(
      told.stdout,
      /^note {5}this node asks the control plane only for what its pods use/m,
    );
  });

  test("what it cannot answer it says in one line", async () => {
    const admin = await node();
    const unknown = await ambit("--admin", admin, "--from", "nobody", "--to", "orders:80");
    assert.equal(unknown.code, 1);
    assert.equal(
      unknown.stderr,
      'ambit: Cannot find the source "nobody": no workload has this name\n',
    );
    const nobody = await ambit("--admin", "127.0.0.1:1", "--from", "a", "--to", "b:1");
    assert.equal(nobody.code, 1);
    assert.match(
      nobody.stderr,
      /^ambit: Cannot ask the ztunnel at http:\/\/127\.0\.0\.1:1; name its admin port/,
    );
  });

  test("decisions are bounded by n", async () => {
    const admin = await node();
    const get = async (query: string) => {
      const response = await fetch(`http://${admin}/debug/decisions${query}`);
      return { status: response.status, body: await response.text() };
    };
    const counts = [
      ["", 3],
      ["?n=2", 2],
      ["?n=0", 0],
      ["?n=999999", 3],
    ] as const;
    for (const [query, count] of counts)
      assert.equal(JSON.parse((await get(query)).body).decisions.length, count, query);
    for (const query of ["?n=-1", "?n=x", "?n=9999999", "?n="])
      assert.equal((await get(query)).status, 400, query);
  });
});

describe("through a waypoint", () => {
  const canary = join(golden, "l7-vs-canary/input.yaml");
  const policies = join(golden, "l7-authz-methods-paths/input.yaml");
  const question = ["--from", "shop/web-1", "--to", "shop/reviews:80"];

  test("follows a request as the objects say", async () => {
    const denied = await ambit(
      ...["--config", policies, ...question, "--method", "DELETE", "--path", "/api/x", "--check"],
    );
    assert.equal(denied.code, 1);
    assert.match(denied.stdout, /^request {2}DELETE \/api\/x, host reviews\.shop:80$/m);
    assert.match(denied.stdout, /^filters {2}envoy\.filters\.http\.rbac: denied: .*method is GET/m);
    assert.match(
      denied.stdout,
      /^verdict {2}DENIED, with what the waypoint shop\/waypoint-0 does$/m,
    );
    const allowed = await ambit(
      ...["--config", policies, ...question, "--path", "/api/x", "--header", "X-Token: abc1"],
      "--check",
    );
    assert.equal(allowed.code, 0, allowed.stdout + allowed.stderr);
  });

  test("tells shares, and gives all of it as JSON", async () => {
    const { stdout } = await ambit("--config", canary, ...question, "--path", "/", "--json");
    const { verdict, waypoints } = JSON.parse(stdout);
    assert.equal(verdict, "allowed");
    const [{ outcomes }] = waypoints;
    assert.deepEqual(
      outcomes.map(({ cluster }: { cluster: string }) => cluster),
      [
        "inbound-vip|80|http/v1|reviews.shop.svc.cluster.local",
        "inbound-vip|80|http/v2|reviews.shop.svc.cluster.local",
      ],
    );
  });

  test("does not speak of requests when nobody asks", async () => {
    const { stdout } = await ambit("--config", canary, ...question);
    assert.doesNotMatch(stdout, /at the waypoint shop\/waypoint-0\n/);
  });

  test("refuses options that it cannot read", async () => {
    const bad = await ambit("--config", canary, ...question, "--header", "nonsense");
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /--header: expected name:value/);
    const path = await ambit("--config", canary, ...question, "--path", "x");
    assert.equal(path.code, 2);
    const nobody = await ambit(...question, "--path", "/");
    assert.equal(nobody.code, 2);
    assert.match(nobody.stderr, /need --waypoint-admin or --config/);
  });

  test("asks a running waypoint on the way of a running ztunnel", async () => {
    const snapshot = async (args: string[]) =>
      JSON.parse((await ambit("--config", canary, ...args, "--json")).stdout);
    const record = await snapshot(question);
    const asked: URLSearchParams[] = [];
    const ztunnel = await startAdminServer({
      name: "admin",
      hosts: ["127.0.0.1"],
      port: 0,
      routes: { "/debug/why": () => ({ status: 200, body: JSON.stringify(record) }) },
    });
    const waypoint = await startAdminServer({
      name: "admin",
      hosts: ["127.0.0.1"],
      port: 0,
      routes: {
        "/debug/why": ({ query }) => {
          asked.push(query);
          const answer = { verdict: "denied", because: "policy x", text: ["so       denied"] };
          return { status: 200, body: JSON.stringify(answer) };
        },
      },
    });
    const answer = await ambit(
      ...[...question, "--admin", `127.0.0.1:${ztunnel.port}`],
      ...["--waypoint-admin", `127.0.0.1:${waypoint.port}`],
      ...["--method", "PUT", "--path", "/a?b=c", "--header", "x-user: kim", "--check"],
    );
    await Promise.all([ztunnel.close(), waypoint.close()]);
    assert.equal(answer.code, 1, answer.stderr);
    assert.match(answer.stdout, /^at the waypoint shop\/waypoint-0\nso {7}denied$/m);
    const [query] = asked;
    assert.deepEqual(Object.fromEntries(query ?? []), {
      to: "10.96.1.1:80",
      from: "10.10.1.10",
      identity: "spiffe://cluster.local/ns/shop/sa/web",
      method: "PUT",
      path: "/a?b=c",
      host: "reviews.shop:80",
      header: "x-user:kim",
    });
  });
});
