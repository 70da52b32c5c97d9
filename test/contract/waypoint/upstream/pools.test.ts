/** Pools, breakers and outliers over real connections to servers that fail in every way. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as http2Server } from "node:http2";
import { afterEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterConfig } from "../../../../src/waypoint/model/cluster.ts";
import type { Cluster } from "../../../../src/waypoint/upstream/upstream.ts";
import type { Upstreams } from "../../../../src/waypoint/upstream/upstreams.ts";
import { portOf } from "../../../support/hbone.ts";
import {
  assignment,
  Collector,
  clusterConfig,
  facts,
  get,
  getHead,
  ok,
  pickOf,
  Servers,
  start,
  upstreamHttp,
  upstreams,
} from "../../../support/waypoint/upstreams.ts";

const servers = new Servers();
let current: Upstreams | undefined;

afterEach(() => {
  current?.destroy();
  servers.close();
});

function clusterOf(config: Partial<ClusterConfig>, ...ports: readonly number[]): Cluster {
  current = upstreams();
  const plan = clusterConfig(config);
  const view = current.clusters.update(new Map([["c", plan]]), new Map([["c", assignment(ports)]]));
  const cluster = view.get("c");
  assert.ok(cluster);
  return cluster;
}

const view = () => current?.clusters.views()[0];

/** A port where nobody listens. */
async function closedPort(): Promise<number> {
  const gone = new Servers();
  const port = await gone.listen(() => undefined);
  gone.close();
  return port;
}

describe("HTTP/1.1", () => {
  test("requests one after the other share a connection", async () => {
    const port = await servers.http((_head, count) => ok(String(count)));
    const cluster = clusterOf({}, port);
    for (let at = 1; at <= 5; at++) {
      const fate = await get(cluster);
      assert.ok(fate.kind === "answer");
      assert.equal(fate.body, String(at));
      assert.equal(fate.collector.reused, at > 1);
      assert.match(fate.collector.localAddress ?? "", /^127\.0\.0\.1:\d+$/);
    }
    assert.equal(view()?.counts.upstreamCxTotal, 1);
    assert.equal(view()?.counts.upstreamRqTotal, 5);
    assert.deepEqual(view()?.underWay, { connections: 1, pending: 0, requests: 0, retries: 0 });
  });

  test("requests at once get connections of their own, which are all kept", async () => {
    const port = await servers.http(() => ok("x"));
    const cluster = clusterOf({}, port);
    await Promise.all(Array.from({ length: 10 }, () => get(cluster)));
    assert.equal(view()?.counts.upstreamCxTotal, 10);
    await Promise.all(Array.from({ length: 10 }, () => get(cluster)));
    assert.equal(view()?.counts.upstreamCxTotal, 10);
  });

  test("a request that is made when the one before ends finds its connection", async () => {
    const port = await servers.http(() => ok("x"));
    const cluster = clusterOf({}, port);
    let left = 50;
    const done = new Promise<void>((resolve) => {
      const next = (): void => {
        if (left-- === 0) {
          resolve();
          return;
        }
        const receiver = new Collector();
        receiver.end = next;
        cluster.request(pickOf(cluster), getHead(), true, receiver, facts());
      };
      next();
    });
    await done;
    assert.equal(view()?.counts.upstreamCxTotal, 1);
  });

  test("a body that is sent before there is a connection arrives whole", async () => {
    const port = await servers.listen((socket) => {
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
        if (text.endsWith("hello world")) socket.write(ok("got it"));
      });
    });
    const cluster = clusterOf({}, port);
    const collector = new Collector();
    const head = getHead("/", "POST");
    head.fields.set("content-length", "11");
    const writer = cluster.request(pickOf(cluster), head, false, collector, facts());
    assert.equal(writer.body(Buffer.from("hello "), 0, 6), false);
    writer.body(Buffer.from("world"), 0, 5);
    writer.end(undefined);
    const fate = await collector.fate;
    assert.ok(fate.kind === "answer" && fate.body === "got it");
  });

  test("after so many requests a connection is not used again", async () => {
    const port = await servers.http((_head, count) => ok(String(count)));
    const cluster = clusterOf({ http: upstreamHttp({ maxRequestsPerConnection: 2 }) }, port);
    const bodies: string[] = [];
    for (let at = 0; at < 5; at++) {
      const fate = await get(cluster);
      bodies.push(fate.kind === "answer" ? fate.body : fate.kind);
    }
    assert.deepEqual(bodies, ["1", "2", "1", "2", "1"]);
    await sleep(50);
    assert.equal(view()?.underWay.connections, 1);
  });

  test("idle connections go after their time, and old ones after theirs", async () => {
    const port = await servers.http(() => ok("x"));
    const idle = clusterOf({ http: upstreamHttp({ idleTimeoutMs: 60 }) }, port);
    await get(idle);
    assert.equal(view()?.underWay.connections, 1);
    await sleep(200);
    assert.equal(view()?.underWay.connections, 0);
    current?.destroy();
    const old = clusterOf({ http: upstreamHttp({ maxConnectionDurationMs: 60 }) }, port);
    await get(old);
    await sleep(200);
    assert.equal(view()?.underWay.connections, 0);
  });

  test("an answer with connection: close ends the connection, not the next request", async () => {
    const port = await servers.http(() =>
      ok("x").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"),
    );
    const cluster = clusterOf({}, port);
    for (let at = 0; at < 3; at++) assert.equal((await get(cluster)).kind, "answer");
    assert.equal(view()?.counts.upstreamCxTotal, 3);
  });

  test("a removed endpoint ends its connections with their last request", async () => {
    let release: (() => void) | undefined;
    const port = await servers.listen((socket) => {
      socket.once("data", () => {
        release = () => socket.write(ok("late"));
      });
    });
    const cluster = clusterOf({}, port);
    const slow = start(cluster);
    await sleep(50);
    current?.clusters.update(new Map([["c", clusterConfig()]]), new Map([["c", assignment([])]]));
    assert.equal(cluster.pick(facts()).kind, "none");
    release?.();
    const fate = await slow.fate;
    assert.ok(fate.kind === "answer" && fate.body === "late");
    await sleep(50);
    assert.equal(view()?.underWay.connections, 0);
  });
});

describe("HTTP/2", () => {
  test("requests at once share a connection up to the peer's limit", async () => {
    const server = http2Server({ settings: { maxConcurrentStreams: 4 } }, (_request, response) => {
      setTimeout(() => response.end("two"), 30);
    });
    let sessions = 0;
    server.on("session", () => sessions++);
    await once(server.listen(0, "127.0.0.1"), "listening");
    const cluster = clusterOf({ http: upstreamHttp({ protocol: "http2" }) }, portOf(server));
    const first = await get(cluster);
    assert.ok(first.kind === "answer" && first.collector.protocol === "HTTP/2");
    const fates = await Promise.all(Array.from({ length: 8 }, () => get(cluster)));
    assert.ok(fates.every((fate) => fate.kind === "answer" && fate.body === "two"));
    assert.ok(sessions >= 2 && sessions <= 3, String(sessions));
    current?.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  test("the client's protocol is used where the cluster says so", async () => {
    const server = http2Server((_request, response) => response.end("two"));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const port = await servers.http(() => ok("one"));
    const config = { http: upstreamHttp({ protocol: "downstream" }) };
    const one = await get(clusterOf(config, port));
    assert.ok(one.kind === "answer" && one.body === "one");
    current?.destroy();
    const two = await get(clusterOf(config, portOf(server)), { downstreamProtocol: "HTTP/2" });
    assert.ok(two.kind === "answer" && two.body === "two");
    current?.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("failing servers", () => {
  test("nobody listens: unavailable, in the reference's words", async () => {
    const cluster = clusterOf({}, await closedPort());
    const fate = await get(cluster);
    assert.ok(fate.kind === "unavailable");
    assert.deepEqual(fate.failure, {
      kind: "connect-failed",
      reason: "delayed connect error: Connection refused",
    });
    assert.equal(view()?.counts.upstreamCxConnectFail, 1);
    assert.deepEqual(view()?.underWay, { connections: 0, pending: 0, requests: 0, retries: 0 });
  });

  test("a connection that does not come about ends in time", async () => {
    current = upstreams({ network: { dialTcp: () => new Promise(() => undefined) } });
    const config = clusterConfig({ connectTimeoutMs: 50 });
    const clusters = current.clusters.update(
      new Map([["c", config]]),
      new Map([["c", assignment([1])]]),
    );
    const cluster = clusters.get("c");
    assert.ok(cluster);
    // The deadline does not keep the process alive.
    const [fate] = await Promise.all([get(cluster), sleep(200)]);
    assert.ok(fate.kind === "unavailable" && fate.failure.kind === "connect-timeout");
  });

  test("a reset before the answer is a lost connection, and the next request gets a new one", async () => {
    let count = 0;
    const port = await servers.listen((socket) => {
      socket.once("data", () => {
        if (++count === 1) socket.resetAndDestroy();
        else socket.end(ok("fine"));
      });
    });
    const cluster = clusterOf({}, port);
    const lost = await get(cluster);
    assert.ok(lost.kind === "reset" && lost.reason.kind === "connection-lost");
    assert.equal((await get(cluster)).kind, "answer");
  });

  test("half an answer and garbage are protocol errors", async () => {
    const half = await servers.listen((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")),
    );
    const lost = await get(clusterOf({}, half));
    assert.ok(lost.kind === "reset" && lost.reason.kind === "protocol-error");
    current?.destroy();
    const garbage = await servers.listen((socket) =>
      socket.once("data", () => socket.write("SSH-2.0 hello\r\n")),
    );
    const broken = await get(clusterOf({}, garbage));
    assert.ok(broken.kind === "reset" && broken.reason.kind === "protocol-error");
  });

  test("a request that is given up frees its connection", async () => {
    const port = await servers.listen(() => undefined);
    const cluster = clusterOf({}, port);
    const stalled = start(cluster);
    await sleep(50);
    assert.equal(view()?.underWay.requests, 1);
    stalled.writer?.reset({ kind: "local", detail: "timeout" });
    await sleep(50);
    assert.deepEqual(view()?.underWay, { connections: 0, pending: 0, requests: 0, retries: 0 });
  });

  test("one that is given up while it waits leaves nothing behind", async () => {
    const port = await servers.http(() => ok("x"));
    const cluster = clusterOf({}, port);
    const waiting = start(cluster);
    assert.equal(view()?.underWay.pending, 1);
    waiting.writer?.reset({ kind: "local", detail: "gone" });
    assert.equal(view()?.underWay.pending, 0);
    await sleep(50);
    // The connection was under way already and serves the next.
    assert.equal((await get(cluster)).kind, "answer");
    assert.equal(view()?.counts.upstreamCxTotal, 1);
  });
});

describe("circuit breakers", () => {
  const limits = (more: Partial<ClusterConfig["breakers"]>): Partial<ClusterConfig> => ({
    breakers: { ...clusterConfig().breakers, ...more },
  });

  test("too many that wait: overflow at once", async () => {
    const port = await servers.http(() => ok("x"));
    const cluster = clusterOf(limits({ maxPendingRequests: 2 }), port);
    const fates = await Promise.all(Array.from({ length: 5 }, () => get(cluster)));
    assert.deepEqual(
      fates.map((fate) => (fate.kind === "unavailable" ? fate.failure.kind : fate.kind)),
      ["answer", "answer", "overflow", "overflow", "overflow"],
    );
    assert.equal(view()?.counts.upstreamRqPendingOverflow, 3);
  });

  test("no more connections than allowed: the others wait for them", async () => {
    const port = await servers.http(() => ok("x"));
    const cluster = clusterOf(limits({ maxConnections: 1 }), port);
    const fates = await Promise.all(Array.from({ length: 6 }, () => get(cluster)));
    assert.ok(fates.every(({ kind }) => kind === "answer"));
    assert.equal(view()?.counts.upstreamCxTotal, 1);
    assert.ok((view()?.counts.upstreamCxOverflow ?? 0) > 0);
  });

  test("no more requests than allowed", async () => {
    const port = await servers.listen(() => undefined);
    const cluster = clusterOf(limits({ maxRequests: 1 }), port);
    start(cluster);
    const second = await get(cluster);
    assert.ok(second.kind === "unavailable" && second.failure.kind === "overflow");
  });

  test("retries are permits, a budget grows with what is under way", async () => {
    const port = await servers.listen(() => undefined);
    const plain = clusterOf(limits({ maxRetries: 1 }), port);
    const permit = plain.tryStartRetry();
    assert.ok(permit);
    assert.equal(plain.tryStartRetry(), undefined);
    permit.release();
    permit.release();
    assert.ok(plain.tryStartRetry());
    assert.equal(view()?.counts.upstreamRqRetryOverflow, 1);
    current?.destroy();
    const budget = clusterOf(limits({ retryBudget: { percent: 50, minConcurrency: 1 } }), port);
    assert.ok(budget.tryStartRetry());
    assert.equal(budget.tryStartRetry(), undefined);
    for (let at = 0; at < 4; at++) start(budget);
    assert.ok(budget.tryStartRetry());
    assert.equal(budget.tryStartRetry(), undefined);
  });
});

describe("outlier detection", () => {
  const outlier: ClusterConfig["outlier"] = {
    intervalMs: 100,
    baseEjectionMs: 300,
    maxEjectionMs: 10_000,
    maxEjectionJitterMs: 0,
    maxEjectionPercent: 50,
    alwaysEjectOne: false,
    splitLocalOrigin: false,
    consecutive5xx: { threshold: 3, enforcingPercent: 100 },
    consecutiveGateway: { threshold: 3, enforcingPercent: 0 },
    consecutiveLocalOrigin: { threshold: 3, enforcingPercent: 0 },
    successRate: {
      enforcingPercent: 0,
      enforcingLocalOriginPercent: 0,
      minHosts: 5,
      requestVolume: 100,
      stdevFactor: 1900,
    },
    failurePercentage: {
      thresholdPercent: 85,
      enforcingPercent: 0,
      enforcingLocalOriginPercent: 0,
      minHosts: 5,
      requestVolume: 50,
    },
  };

  test("a bad endpoint is left out, and taken back after its time", async () => {
    const good = await servers.http(() => ok("good"));
    const bad = await servers.http(() => ok("bad", 500));
    const cluster = clusterOf({ outlier }, good, bad);
    const ask = async (count: number): Promise<number> => {
      let failures = 0;
      for (let at = 0; at < count; at++) {
        const fate = await get(cluster);
        if (fate.kind !== "answer" || fate.status !== 200) failures++;
      }
      return failures;
    };
    assert.equal(await ask(6), 3);
    assert.equal(await ask(20), 0);
    assert.equal(view()?.outliers?.active, 1);
    assert.equal(view()?.endpoints.filter(({ ejected }) => ejected).length, 1);
    await sleep(500);
    assert.equal(view()?.outliers?.active, 0);
    assert.equal(await ask(6), 3);
  });

  test("one that refuses connections is left out too", async () => {
    const good = await servers.http(() => ok("good"));
    const cluster = clusterOf({ outlier }, good, await closedPort());
    for (let at = 0; at < 6; at++) await get(cluster);
    const fates = await Promise.all(Array.from({ length: 20 }, () => get(cluster)));
    assert.ok(fates.every(({ kind }) => kind === "answer"));
  });

  test("an update that keeps the endpoint keeps it out", async () => {
    const good = await servers.http(() => ok("good"));
    const bad = await servers.http(() => ok("bad", 503));
    const cluster = clusterOf({ outlier }, good, bad);
    for (let at = 0; at < 6; at++) await get(cluster);
    const more = await servers.http(() => ok("more"));
    current?.clusters.update(
      new Map([["c", clusterConfig({ outlier })]]),
      new Map([["c", assignment([good, bad, more])]]),
    );
    assert.equal(current?.clusters.get("c"), cluster);
    const bodies = new Set<string>();
    for (let at = 0; at < 20; at++) {
      const fate = await get(cluster);
      if (fate.kind === "answer") bodies.add(fate.body);
    }
    assert.deepEqual([...bodies].sort(), ["good", "more"]);
  });
});
