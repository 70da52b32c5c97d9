/** The running control plane as a raw delta client sees it: subscriptions, answers, reconnects, reloads, refusals. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { type RunningControlPlane, startControlPlane } from "../../../src/controlplane/app.ts";
import {
  addressType,
  authorizationType,
  workloadType,
} from "../../../src/controlplane/push/types.ts";
import { defaultMeshSettings } from "../../../src/controlplane/translate/settings.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { loadOrCreateKey, TOKEN_KEY_FILE } from "../../../src/shared/identity/key-file.ts";
import { signToken } from "../../../src/shared/identity/token.ts";
import { createLogger, LogFilter } from "../../../src/shared/telemetry/logger.ts";
import { decodeWorkload } from "../../support/decode-address.ts";
import { DeltaClient, names, versions, ztunnelNode } from "../../support/delta-client.ts";

const denyPolicy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: shop }
spec: { action: DENY, rules: [{ from: [{ source: { namespaces: [legacy] } }] }] }
`;

const base = readFileSync(join(import.meta.dirname, "../../golden/l4-base/input.yaml"), "utf8");

describe("control plane", () => {
  let dir: string;
  let running: RunningControlPlane;
  let lines: string[];
  const clients: DeltaClient[] = [];

  const objects = (): string => join(dir, "objects");
  const write = (name: string, text: string): void => {
    const draft = join(dir, "draft");
    writeFileSync(draft, text);
    renameSync(draft, join(objects(), name));
  };
  const connect = (): DeltaClient => {
    const client = new DeltaClient(`127.0.0.1:${running.ports.grpc}`);
    clients.push(client);
    return client;
  };
  const page = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${running.ports.http}${path}`);
    return JSON.parse(await response.text());
  };
  /** A wildcard client that has taken and acknowledged the whole state of a type. */
  const synced = async (typeUrl: string) => {
    const client = connect();
    client.send({ typeUrl, node: ztunnelNode });
    const first = await client.next();
    client.ack(first);
    return { client, first };
  };

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "ambit-controlplane-"));
    lines = [];
    mkdirSync(objects());
    write("base.yaml", base);
    const log = createLogger(
      {
        clock: systemClock,
        filter: new LogFilter("debug"),
        format: "plain",
        write: (line) => lines.push(line),
      },
      "controlplane",
    );
    const any = { host: "127.0.0.1", port: 0 };
    running = await startControlPlane(
      { clock: systemClock, log },
      {
        configPath: objects(),
        stateDir: join(dir, "state"),
        grpc: any,
        secureGrpc: any,
        http: any,
        monitoring: any,
        mesh: defaultMeshSettings,
        maxConnectionAgeMs: 60_000,
      },
    );
  });

  beforeEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  after(async () => {
    for (const client of clients) client.close();
    await running.stop();
    rmSync(dir, { recursive: true });
  });

  test("an empty first request means everything, with content versions", async () => {
    const { first } = await synced(addressType);
    assert.equal(first.resources.length, 10);
    assert.ok(first.resources.every(({ version }) => /^[0-9a-f]{16}$/.test(version)));
    assert.deepEqual(first.removedResources, []);
  });

  test("authorization is answered even when there is none, and has no versions", async () => {
    const { first, client } = await synced(authorizationType);
    assert.deepEqual(names(first), []);
    write("policy.yaml", denyPolicy);
    const push = await client.next();
    assert.deepEqual(names(push), ["shop/deny"]);
    assert.equal(push.resources[0]?.version, "");
    client.ack(push);
    rmSync(join(objects(), "policy.yaml"));
    const removal = await client.next();
    assert.deepEqual([names(removal), removal.removedResources], [[], ["shop/deny"]]);
  });

  test("a reconnect is told only of what changed or went away meanwhile", async () => {
    const { first, client } = await synced(addressType);
    const held = { ...versions(first) };
    client.close();
    const again = connect();
    again.send({
      typeUrl: addressType,
      node: ztunnelNode,
      versions: { ...held, "Kubernetes//Pod/shop/gone": "1" },
    });
    const answer = await again.next();
    assert.deepEqual([names(answer), answer.removedResources], [[], ["Kubernetes//Pod/shop/gone"]]);
    const outdated = connect();
    outdated.send({
      typeUrl: addressType,
      node: ztunnelNode,
      versions: { ...held, "Kubernetes//Pod/shop/web-1": "old" },
    });
    assert.deepEqual(names(await outdated.next()), ["Kubernetes//Pod/shop/web-1"]);
  });

  test("only what changed is pushed, to every client", async () => {
    const [one, two] = [await synced(addressType), await synced(addressType)];
    write(
      "base.yaml",
      base.replace("10.10.1.10\n", "10.10.1.99\n").replace("ip: 10.10.1.10", "ip: 10.10.1.99"),
    );
    for (const { client } of [one, two]) {
      const push = await client.next();
      assert.deepEqual(names(push), ["Kubernetes//Pod/shop/web-1"]);
    }
    write("base.yaml", base);
    for (const { client } of [one, two])
      assert.deepEqual(names(await client.next()), ["Kubernetes//Pod/shop/web-1"]);
  });

  test("a broken file keeps the last good state and shows in the status", async () => {
    const { client } = await synced(addressType);
    write("base.yaml", `${base}\n---\nkind: [`);
    await until(async () => (await page("/debug/status")).problems.length === 1);
    const [problem] = (await page("/debug/status")).problems;
    assert.match(problem.file, /base\.yaml$/);
    assert.ok(problem.line > 200 && problem.kept);
    assert.ok(
      lines.some((line) => line.includes("base.yaml:") && line.includes("last good state")),
    );
    assert.ok(await client.nothing(50));
    write("base.yaml", base);
    await until(async () => (await page("/debug/status")).problems.length === 0);
  });

  test("a refused object is named with file, line and path, and the rest takes effect", async () => {
    const { client } = await synced(authorizationType);
    const bad = denyPolicy.replace("name: deny", "name: bad").replace("namespaces:", "namespace:");
    write("policy.yaml", `${denyPolicy}---${bad}`);
    assert.deepEqual(names(await client.next()), ["shop/deny"]);
    const [problem] = (await page("/debug/status")).problems;
    assert.equal(problem.path, "spec.rules[0].from[0].source.namespace");
    assert.equal(problem.reason, "unknown field");
    assert.equal(problem.line, 10);
    rmSync(join(objects(), "policy.yaml"));
    assert.deepEqual((await client.next()).removedResources, ["shop/deny"]);
  });

  test("a rejection is kept for the operator and not answered", async () => {
    const { client } = await synced(authorizationType);
    write("policy.yaml", denyPolicy.replace("name: deny", "name: other"));
    const push = await client.next();
    client.send({ typeUrl: authorizationType, nonce: push.nonce, error: "shop/other: no" });
    assert.ok(await client.nothing(100));
    const { connections } = await page("/debug/connections");
    const report = connections[0].types.find(
      (type: { typeUrl: string }) => type.typeUrl === authorizationType,
    );
    assert.deepEqual(
      [report.nacks, report.lastNack.message, report.synced],
      [1, "shop/other: no", false],
    );
    const metrics = await (
      await fetch(`http://127.0.0.1:${running.ports.monitoring}/metrics`)
    ).text();
    assert.match(metrics, /pilot_total_xds_rejects_total\{type="Authorization"\} 1/);
    rmSync(join(objects(), "policy.yaml"));
    assert.deepEqual((await client.next()).removedResources, ["shop/other"]);
  });

  test("on demand: nothing unasked but the node's own, then by address with aliases and endpoints", async () => {
    const client = connect();
    const node = { ...ztunnelNode, metadata: { NAMESPACE: "istio-system" } };
    client.send({ typeUrl: addressType, node, subscribe: ["*"], unsubscribe: ["*"] });
    assert.deepEqual(names(await client.next()), []);
    client.send({ typeUrl: addressType, subscribe: ["/10.96.1.1"] });
    const answer = await client.next();
    assert.deepEqual(names(answer), [
      "Kubernetes//Pod/shop/reviews-v1",
      "Kubernetes//Pod/shop/reviews-v2",
      "shop/reviews.shop.svc.cluster.local",
    ]);
    const service = answer.resources.find(({ name }) => name.startsWith("shop/"));
    assert.deepEqual(service?.aliases, ["/10.96.1.1"]);
    client.send({ typeUrl: addressType, subscribe: ["shop/nothing.shop.svc.cluster.local"] });
    assert.deepEqual((await client.next()).removedResources, [
      "shop/nothing.shop.svc.cluster.local",
    ]);
    write("base.yaml", base.replace("app: old", "app: older"));
    assert.ok(await client.nothing(300), "a change elsewhere is not pushed");
    write("base.yaml", base.replaceAll("10.10.1.11", "10.10.1.77"));
    assert.deepEqual(names(await client.next()), ["Kubernetes//Pod/shop/reviews-v1"]);
    client.send({
      typeUrl: addressType,
      unsubscribe: [
        "Kubernetes//Pod/shop/reviews-v1",
        "shop/reviews.shop.svc.cluster.local",
        "/10.96.1.1",
      ],
    });
    write("base.yaml", base);
    assert.ok(await client.nothing(300), "an unsubscribed name is not pushed");
  });

  test("the node's own workloads come along on demand", async () => {
    const client = connect();
    client.send({ typeUrl: addressType, node: ztunnelNode, subscribe: ["*"], unsubscribe: ["*"] });
    assert.deepEqual(names(await client.next()), [
      "Kubernetes//Pod/legacy/old-1",
      "Kubernetes//Pod/shop/reviews-v1",
      "Kubernetes//Pod/shop/web-1",
    ]);
  });

  test("bare workloads are served under their own type", async () => {
    const { first } = await synced(workloadType);
    assert.equal(first.resources.length, 6);
    const web = first.resources.find(({ name }) => name.endsWith("/web-1"));
    assert.equal(decodeWorkload(web?.resource?.value).name, "web-1");
  });

  test("a first request without a node is refused", async () => {
    const client = connect();
    client.send({ typeUrl: addressType });
    await assert.rejects(client.next(), { code: status.INVALID_ARGUMENT });
  });

  test("the TLS port demands a token that fits the node", async () => {
    const rootCert = readFileSync(join(dir, "state/root-cert.pem"));
    const open = (token: string | undefined): DeltaClient => {
      const metadata = new Metadata();
      if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
      const client = new DeltaClient(
        `localhost:${running.ports.secureGrpc}`,
        metadata,
        credentials.createSsl(rootCert),
      );
      clients.push(client);
      client.send({ typeUrl: addressType, node: ztunnelNode });
      return client;
    };
    const key = loadOrCreateKey(join(dir, "state", TOKEN_KEY_FILE));
    const sign = (namespace: string, node: string) =>
      signToken(
        key,
        { namespace, serviceAccount: "ztunnel", node },
        { issuedAtMs: Date.now(), ttlMs: 60_000 },
      );
    assert.equal((await open(await sign("istio-system", "node1")).next()).resources.length, 10);
    await assert.rejects(open(undefined).next(), { code: status.UNAUTHENTICATED });
    await assert.rejects(open("nonsense").next(), { code: status.UNAUTHENTICATED });
    await assert.rejects(open(await sign("shop", "node1")).next(), {
      code: status.PERMISSION_DENIED,
    });
    await assert.rejects(open(await sign("istio-system", "node2")).next(), {
      code: status.PERMISSION_DENIED,
    });
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
