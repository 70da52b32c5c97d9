import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import type { GrpcEndpointOptions } from "../../../../src/shared/grpc/types.ts";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { XdsClient } from "../../../../src/shared/xds/delta-client.ts";
import { openDeltaStream } from "../../../../src/shared/xds/delta-stream.ts";
import {
  addressType,
  authorizationType,
  type TerminationReason,
} from "../../../../src/shared/xds/types.ts";
import {
  FakeControlPlane,
  policyResource,
  serviceResource,
  workloadResource,
} from "../../../support/fake-control-plane.ts";

const node = {
  id: "ztunnel~1.1.1.1~zt.istio-system~istio-system.svc.cluster.local",
  metadata: { NAMESPACE: "istio-system", NESTED: { list: [1, true, null, "x"] } },
};

interface Harness {
  readonly server: FakeControlPlane;
  readonly client: XdsClient;
  readonly store: MeshStore;
  readonly terminations: TerminationReason[];
  readonly rejected: string[];
  readonly log: string[];
  readonly messages: [string, number][];
  readonly running: Promise<void>;
}

let stop: AbortController;
let servers: FakeControlPlane[] = [];

beforeEach(() => {
  stop = new AbortController();
});

afterEach(() => {
  stop.abort();
  for (const server of servers) server.stop();
  servers = [];
});

async function start(
  options: { onDemand?: boolean; endpoint?: Partial<GrpcEndpointOptions> } = {},
): Promise<Harness> {
  const server = new FakeControlPlane();
  servers.push(server);
  const address = await server.start();
  return { server, ...connect(address, options) };
}

function connect(
  address: string,
  options: { onDemand?: boolean; endpoint?: Partial<GrpcEndpointOptions> } = {},
): Omit<Harness, "server"> {
  const store = new MeshStore();
  const terminations: TerminationReason[] = [];
  const rejected: string[] = [];
  const messages: [string, number][] = [];
  const log: string[] = [];
  const endpoint: GrpcEndpointOptions = {
    address,
    rootCa: "",
    clusterId: "c1",
    headers: new Map([["x-extra", "1"]]),
    ...options.endpoint,
  };
  const client = new XdsClient(
    {
      open: (handlers) => openDeltaStream(endpoint, systemClock, handlers),
      clock: systemClock,
      logger: createLogger(
        {
          clock: systemClock,
          filter: new LogFilter("info"),
          format: "plain",
          write: (line) => log.push(line),
        },
        "xds",
      ),
      sink: store,
      events: {
        terminated: (reason) => terminations.push(reason),
        rejected: (_type, problems) => rejected.push(...problems),
        message: (type, bytes) => messages.push([type, bytes]),
      },
    },
    { node, onDemand: options.onDemand ?? false },
  );
  const running = client.run(stop.signal);
  return { client, store, terminations, rejected, messages, log, running };
}

async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  const turn = new Promise((resolve) => setImmediate(() => resolve(pending)));
  return (await Promise.race([promise, turn])) !== pending;
}

const w1 = workloadResource({ uid: "w1", addresses: [Uint8Array.of(10, 0, 0, 1)] }, "v1");
const bad = workloadResource({ uid: "bad", addresses: [Uint8Array.of(1)] }, "v1");
const s1 = serviceResource({ namespace: "ns", hostname: "s1" }, "v2");
const p1 = policyResource({ namespace: "ns", name: "p1" });

describe("wildcard subscription", () => {
  test("asks for both types with the node, and is synced after both were acknowledged", async () => {
    const { server, client, store, messages } = await start();
    const stream = await server.nextStream();
    const [first, second] = [await stream.next(), await stream.next()];
    assert.deepEqual([first.typeUrl, second.typeUrl], [addressType, authorizationType]);
    for (const request of [first, second]) {
      assert.equal(request.node?.id, node.id);
      assert.deepEqual(request.node?.metadata, node.metadata);
      assert.deepEqual(request.resourceNamesSubscribe, []);
      assert.deepEqual(request.resourceNamesUnsubscribe, []);
      assert.equal(request.responseNonce, "");
    }
    assert.equal(stream.metadata.get("clusterid")[0], "c1");
    assert.equal(stream.metadata.get("x-extra")[0], "1");
    assert.deepEqual(stream.metadata.get("authorization"), []);

    stream.respond({ typeUrl: addressType, nonce: "n1", resources: [w1, s1] });
    const ack = await stream.next();
    assert.equal(ack.responseNonce, "n1");
    assert.equal(ack.errorDetail, undefined);
    assert.equal(ack.node, undefined);
    assert.equal(store.workloadByAddress("", ipOf("10.0.0.1"))?.uid, "w1");
    assert.equal(await settled(client.synced), false);
    assert.deepEqual(client.awaitingFirst, [authorizationType]);
    stream.respond({ typeUrl: authorizationType, nonce: "n2", resources: [p1] });
    assert.equal((await stream.next()).responseNonce, "n2");
    await client.synced;
    assert.deepEqual(
      messages.map(([type]) => type),
      [addressType, authorizationType],
    );
    assert.ok(messages.every(([, bytes]) => bytes > 20));
  });

  test("applies what is valid, refuses the rest in one NACK, and is not synced by it", async () => {
    const { server, client, store, rejected, log } = await start();
    const stream = await server.nextStream();
    await stream.next();
    await stream.next();
    stream.respond({ typeUrl: authorizationType, nonce: "n0" });
    await stream.next();
    const worse = { ...bad, name: "worse" };
    stream.respond({ typeUrl: addressType, nonce: "n1", resources: [bad, w1, worse] });
    const nack = await stream.next();
    assert.equal(nack.responseNonce, "n1");
    assert.equal(nack.errorDetail?.code, 0);
    assert.equal(
      nack.errorDetail?.message,
      "bad: workload.addresses[0]: 1 bytes long, want 4 or 16; worse: workload.addresses[0]: 1 bytes long, want 4 or 16",
    );
    assert.equal(rejected.length, 2);
    assert.ok(log.some((line) => line.includes("xds resource refused")));
    assert.equal(store.workloadByUid("w1")?.uid, "w1");
    assert.equal(store.workloadByUid("bad"), undefined);
    assert.equal(await settled(client.synced), false);
    stream.respond({ typeUrl: addressType, nonce: "n2", resources: [] });
    await client.synced;
  });

  test("removes what is named, workloads before services, after the upserts of the same response", async () => {
    const { server, store } = await start();
    const stream = await server.nextStream();
    await stream.next();
    await stream.next();
    stream.respond({ typeUrl: addressType, nonce: "1", resources: [w1, s1] });
    await stream.next();
    stream.respond({ typeUrl: authorizationType, nonce: "2", resources: [p1] });
    await stream.next();
    const w2 = workloadResource({ uid: "w2" });
    stream.respond({
      typeUrl: addressType,
      nonce: "3",
      resources: [w2],
      removedResources: ["w1", "w2", "ns/s1", "unknown"],
    });
    await stream.next();
    stream.respond({ typeUrl: authorizationType, nonce: "4", removedResources: ["ns/p1"] });
    await stream.next();
    assert.equal(store.workloadByUid("w1"), undefined);
    assert.equal(store.workloadByUid("w2"), undefined);
    assert.equal(store.service("ns/s1"), undefined);
    assert.equal(store.policy("ns/p1"), undefined);
  });

  test("acknowledges a type it does not know", async () => {
    const { server } = await start();
    const stream = await server.nextStream();
    await stream.next();
    await stream.next();
    stream.respond({ typeUrl: "type.googleapis.com/odd", nonce: "n", resources: [w1] });
    const answer = await stream.next();
    assert.deepEqual([answer.typeUrl, answer.responseNonce], ["type.googleapis.com/odd", "n"]);
    assert.equal(answer.errorDetail, undefined);
  });
});

describe("a new stream", () => {
  test("names everything that is held with its version, nothing that was refused; state stays meanwhile", async () => {
    const { server, store, terminations } = await start();
    const first = await server.nextStream();
    await first.next();
    await first.next();
    first.respond({ typeUrl: addressType, nonce: "1", resources: [w1, s1, bad] });
    await first.next();
    first.respond({ typeUrl: authorizationType, nonce: "2", resources: [p1] });
    await first.next();
    first.respond({ typeUrl: addressType, nonce: "3", removedResources: ["ns/s1"] });
    await first.next();
    first.end();
    const second = await server.nextStream();
    assert.equal(store.workloadByUid("w1")?.uid, "w1");
    const [addresses, policies] = [await second.next(), await second.next()];
    assert.deepEqual(addresses.initialResourceVersions, { w1: "v1" });
    assert.deepEqual(policies.initialResourceVersions, { "ns/p1": "" });
    assert.equal(addresses.node?.id, node.id);
    assert.deepEqual(terminations, ["Complete"]);
  });

  test("that no longer brings a refused policy ends its effect", async () => {
    const { server, store } = await start();
    const target = { namespace: "ns", authorizationPolicies: [] };
    const odd = policyResource({ namespace: "ns", name: "odd", scope: 1, action: 9 as never });
    const first = await server.nextStream();
    await first.next();
    await first.next();
    first.respond({ typeUrl: authorizationType, nonce: "1", resources: [odd] });
    const nack = await first.next();
    assert.equal(nack.errorDetail?.message, "ns/odd: authorization.action: unknown value 9");
    assert.equal(store.policiesFor(target).refused.length, 1);
    first.respond({ typeUrl: authorizationType, nonce: "2", resources: [p1] });
    await first.next();
    assert.equal(store.policiesFor(target).refused.length, 1, "not the first of its stream");
    first.end();
    const second = await server.nextStream();
    await second.next();
    const policies = await second.next();
    assert.deepEqual(policies.initialResourceVersions, { "ns/p1": "" });
    second.respond({ typeUrl: authorizationType, nonce: "3" });
    await second.next();
    assert.deepEqual(store.policiesFor(target).refused, []);
  });

  const ends: readonly [number, string, TerminationReason][] = [
    [2, "odd", "Reconnect"],
    [4, "too late", "Reconnect"],
    [13, "broken", "Error"],
  ];
  for (const [code, details, reason] of ends) {
    test(`after gRPC status ${code} counts as ${reason}`, async () => {
      const { server, terminations } = await start();
      const first = await server.nextStream();
      await first.next();
      first.respond({ typeUrl: addressType, nonce: "1" });
      await first.next();
      await first.next();
      first.end({ code, details });
      await server.nextStream();
      assert.deepEqual(terminations, [reason]);
    });
  }

  test("refused before any answer counts as ConnectionError", async () => {
    const { server, terminations } = await start();
    const first = await server.nextStream();
    first.end({ code: 16, details: "who are you" });
    await server.nextStream();
    assert.deepEqual(terminations, ["ConnectionError"]);
  });

  test("is opened once a control plane that was away listens", async () => {
    const probe = new FakeControlPlane();
    const address = await probe.start();
    probe.stop();
    const { terminations, client, log } = connect(address);
    while (terminations.length < 2) await systemClock.sleep(5);
    assert.deepEqual(terminations.slice(0, 2), ["ConnectionError", "ConnectionError"]);
    assert.ok(log.some((line) => line.includes("cannot open the stream")));
    const server = new FakeControlPlane();
    servers.push(server);
    await server.start(undefined, probe.port);
    const stream = await server.nextStream();
    stream.respond({ typeUrl: addressType, nonce: "1" });
    stream.respond({ typeUrl: authorizationType, nonce: "2" });
    await client.synced;
  });

  test("reads the token again; an empty one opens no stream", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ambit-xds-"));
    try {
      const path = join(folder, "token");
      writeFileSync(path, "one\n");
      const { server, terminations } = await start({ endpoint: { authToken: path } });
      const first = await server.nextStream();
      assert.deepEqual(first.metadata.get("authorization"), ["Bearer one"]);
      await first.next();
      first.respond({ typeUrl: addressType, nonce: "1" });
      writeFileSync(path, "");
      first.end({ code: 2, details: "" });
      while (terminations.length < 2) await systemClock.sleep(5);
      assert.deepEqual(terminations.slice(0, 2), ["Reconnect", "ConnectionError"]);
      writeFileSync(path, "two");
      const second = await server.nextStream();
      assert.deepEqual(second.metadata.get("authorization"), ["Bearer two"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("a stop ends the stream and the loop", async () => {
  const { server, running, terminations } = await start();
  await server.nextStream();
  stop.abort();
  await running;
  assert.deepEqual(terminations, []);
});

describe("on demand", () => {
  test("starts with nothing, asks by key, and resolves when the key or its alias is answered", async () => {
    const { server, client, store } = await start({ onDemand: true });
    const stream = await server.nextStream();
    const [addresses, policies] = [await stream.next(), await stream.next()];
    assert.deepEqual(addresses.resourceNamesSubscribe, ["*"]);
    assert.deepEqual(addresses.resourceNamesUnsubscribe, ["*"]);
    assert.deepEqual(policies.resourceNamesSubscribe, []);
    stream.respond({ typeUrl: authorizationType, nonce: "0" });
    await stream.next();
    await client.synced;

    const waits = [client.demand("/10.0.0.1"), client.demand("/10.0.0.1"), client.demand("gone")];
    const demand = await stream.next();
    assert.deepEqual(demand.resourceNamesSubscribe, ["/10.0.0.1"]);
    assert.equal(demand.node, undefined);
    assert.equal(demand.responseNonce, "");
    assert.deepEqual((await stream.next()).resourceNamesSubscribe, ["gone"]);
    assert.equal(await settled(Promise.all(waits)), false);
    stream.respond({
      typeUrl: addressType,
      nonce: "1",
      resources: [{ ...w1, aliases: ["/10.0.0.1"] }],
      removedResources: ["gone"],
    });
    await Promise.all(waits);
    assert.equal(store.workloadByUid("w1")?.uid, "w1");
    assert.equal((await stream.next()).responseNonce, "1");
    await client.demand("gone");
    await client.demand("w1");
  });

  test("keys without an answer are asked for again on the next stream", async () => {
    const { server, client } = await start({ onDemand: true });
    const first = await server.nextStream();
    await first.next();
    await first.next();
    const wait = client.demand("ns/s1");
    await first.next();
    first.respond({ typeUrl: authorizationType, nonce: "0" });
    await first.next();
    first.end();
    const second = await server.nextStream();
    const addresses = await second.next();
    assert.deepEqual(addresses.initialResourceVersions, { "ns/s1": "" });
    second.respond({ typeUrl: addressType, nonce: "1", resources: [s1] });
    await wait;
  });

  test("a wait can be given up", async () => {
    const { client } = await start({ onDemand: true });
    const giveUp = new AbortController();
    const wait = client.demand("x", giveUp.signal);
    giveUp.abort(new Error("enough"));
    await assert.rejects(wait, /enough/);
  });
});
