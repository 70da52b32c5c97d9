import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as netConnect, type Server, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import type { Clock } from "../../../../src/shared/base/clock.ts";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import type { NetworkFilter } from "../../../../src/waypoint/filters/filter.ts";
import type { DownstreamInfo } from "../../../../src/waypoint/http/stream.ts";
import { openingOf } from "../../../../src/waypoint/http/transport.ts";
import type { TcpChain } from "../../../../src/waypoint/model/chain.ts";
import { chooseCluster, connectionHash } from "../../../../src/waypoint/tcp/choose.ts";
import { runTcp, type TcpConnection } from "../../../../src/waypoint/tcp/connection.ts";
import type { StreamRecord } from "../../../../src/waypoint/telemetry/record.ts";
import {
  noTelemetry,
  type RequestTelemetry,
} from "../../../../src/waypoint/telemetry/request-telemetry.ts";
import {
  type AttemptOutcome,
  type Cluster,
  type PickFacts,
  UpstreamError,
  type UpstreamFailure,
} from "../../../../src/waypoint/upstream/upstream.ts";
import { FakeClock } from "../../../support/clock.ts";
import { dial, echoServer, portOf, socketPair } from "../../../support/hbone.ts";

const downstream: DownstreamInfo = {
  peerPrincipal: "spiffe://cluster.local/ns/shop/sa/web",
  localPrincipal: undefined,
  source: { ip: "10.1.0.7", port: 40_000 },
  destination: { ip: "10.96.1.3", port: 5432 },
  connectAuthority: "10.96.1.3:5432",
  connectHeaders: [],
  requestedServerName: undefined,
  connectionId: 1,
  startedWallMs: 0,
};

const chain: TcpChain = {
  kind: "tcp",
  name: "inbound-vip|5432|tcp|db.shop.svc.cluster.local",
  filters: [],
  clusters: { total: 1, clusters: [{ cluster: "db", weight: 1 }] },
  hashPolicy: [],
  idleTimeoutMs: 0,
  maxConnectionDurationMs: 0,
  accessLogs: [],
  stats: undefined,
};

let server: Server;
before(async () => {
  server = await echoServer();
});
after(() => server.close());

interface FakeCluster extends Cluster {
  readonly outcomes: AttemptOutcome[];
  readonly facts: PickFacts[];
}

function clusterOf(
  connect: (signal: AbortSignal) => Promise<Socket>,
  pick?: Cluster["pick"],
): FakeCluster {
  const endpoint = {
    address: "10.1.0.9:5432",
    ip: "10.1.0.9",
    port: 5432,
    hostText: "10.1.0.9:5432",
    peer: undefined,
  };
  const outcomes: AttemptOutcome[] = [];
  const facts: PickFacts[] = [];
  return {
    outcomes,
    facts,
    name: "db",
    service: { host: "db.shop.svc.cluster.local", name: "db", namespace: "shop" },
    tryStartRetry: () => undefined,
    pick: (given) => {
      facts.push(given);
      return pick?.(given) ?? { kind: "endpoint", endpoint };
    },
    request: () => {
      throw new Error("not for TCP");
    },
    connect: async (_endpoint, _facts, signal) => ({
      stream: await connect(signal),
      localAddress: "10.1.0.1:555",
    }),
    report: (_endpoint, outcome) => outcomes.push(outcome),
  };
}

interface Stage {
  readonly client: Socket;
  readonly connection: TcpConnection;
  readonly records: StreamRecord[];
}

async function stage(
  cluster: Cluster | undefined,
  overrides: Partial<TcpChain> = {},
  clock: Clock = systemClock,
): Promise<Stage> {
  const { near, far } = await socketPair();
  far.on("error", () => undefined);
  const records: StreamRecord[] = [];
  const telemetry: RequestTelemetry = {
    ...noTelemetry,
    finish: (_chain, record) => records.push(record),
  };
  const deps = {
    clusters: { get: (name: string) => (name === "db" ? cluster : undefined) },
    telemetry,
    clock,
    random: () => 0,
    sourcePeer: () => undefined,
    hash: (text: string) => BigInt(text.length),
  };
  const connection = runTcp(deps, { ...chain, ...overrides }, openingOf(near), downstream);
  return { client: far, connection, records };
}

function failing(failure: UpstreamFailure): FakeCluster {
  return clusterOf(() => Promise.reject(new UpstreamError(failure)));
}

const toEcho = (): FakeCluster => clusterOf(() => dial(portOf(server)));

async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1");
  for await (const piece of socket) text += String(piece);
  return text;
}

describe("a connection on a TCP chain", { timeout: 20_000 }, () => {
  test("flows both ways and is recorded with its octets", async () => {
    const cluster = toEcho();
    const hashed = { kind: "source-ip", terminal: false } as const;
    const { client, connection, records } = await stage(cluster, { hashPolicy: [hashed] });
    client.end("a question");
    assert.equal(await textOf(client), "a question");
    await connection.done;
    const [record] = records;
    assert.deepEqual([record?.bytesReceived, record?.bytesSent, record?.flags], [10, 10, []]);
    assert.equal(record?.upstream?.address, "10.1.0.9:5432");
    assert.equal(record?.upstream?.localAddress, "10.1.0.1:555");
    assert.equal(cluster.facts[0]?.hash, BigInt("10.1.0.7".length));
    assert.deepEqual(cluster.outcomes, [{ kind: "status", status: 200, grpcStatus: undefined }]);
  });

  test("what the client says while the upstream is dialed is not lost", async () => {
    let connect: ((socket: Socket) => void) | undefined;
    const cluster = clusterOf(
      () =>
        new Promise((resolve) => {
          connect = resolve;
        }),
    );
    const { client, connection } = await stage(cluster);
    client.end("early words");
    await new Promise((resolve) => setTimeout(resolve, 20));
    connect?.(await dial(portOf(server)));
    assert.equal(await textOf(client), "early words");
    await connection.done;
  });

  test("is closed by a filter before anything goes upstream", async () => {
    const cluster = toEcho();
    const filter: NetworkFilter = {
      name: "rbac",
      onConnection: async (context) => {
        context.setMetadata("rbac", { policy: "none" });
        context.note({ filter: "rbac", outcome: "denied", reason: "no rule" });
        return { kind: "close", flags: [], details: "rbac_access_denied_matched_policy[none]" };
      },
    };
    const { client, connection, records } = await stage(cluster, { filters: [filter] });
    await assert.rejects(textOf(client), /ECONNRESET/);
    await connection.done;
    const details = records[0]?.connectionTerminationDetails;
    assert.equal(details, "rbac_access_denied_matched_policy[none]");
    assert.deepEqual(records[0]?.metadata.get("rbac"), { policy: "none" });
    assert.equal(cluster.facts.length, 0);
  });

  test("a filter that fails closes", async () => {
    const filter: NetworkFilter = {
      name: "broken",
      onConnection: () => {
        throw new Error("cannot evaluate");
      },
    };
    const { client, connection, records } = await stage(toEcho(), { filters: [filter] });
    await assert.rejects(textOf(client), /ECONNRESET/);
    await connection.done;
    assert.equal(records[0]?.decisions[0]?.reason, "cannot evaluate");
  });

  const refusals: readonly (readonly [string, Cluster | undefined, string, number])[] = [
    ["no cluster", undefined, "NC", 0],
    [
      "no healthy endpoint",
      clusterOf(
        () => Promise.reject(new Error("unreachable")),
        () => ({ kind: "none", flag: "UH", details: "no_healthy_upstream" }),
      ),
      "UH",
      0,
    ],
    ["too many connections", failing({ kind: "overflow", reason: "" }), "UO", 0],
    ["nobody listens", failing({ kind: "connect-failed", reason: "refused" }), "UF,URX", 1],
    ["a slow endpoint", failing({ kind: "connect-timeout", reason: "timeout" }), "UF,URX", 1],
  ];
  for (const [name, cluster, flags, reports] of refusals) {
    test(`${name}: closed with ${flags}`, async () => {
      const { client, connection, records } = await stage(cluster);
      await assert.rejects(textOf(client), /ECONNRESET/);
      await connection.done;
      assert.equal(records[0]?.flags.join(), flags);
      const outcomes = (cluster as FakeCluster | undefined)?.outcomes ?? [];
      assert.equal(outcomes.length, reports);
    });
  }

  test("ends after its idle time, but not while octets flow, and after its longest duration", async () => {
    const clock = new FakeClock();
    const idle = await stage(toEcho(), { idleTimeoutMs: 1000 }, clock);
    for (let round = 0; round < 4; round++) {
      idle.client.write("x");
      await once(idle.client, "data");
      await clock.advance(900);
    }
    assert.equal(idle.records.length, 0);
    await clock.advance(400);
    await idle.connection.done;
    assert.equal(idle.records[0]?.connectionTerminationDetails, "tcp_session_idle_timeout");

    const long = await stage(toEcho(), { maxConnectionDurationMs: 5000 }, clock);
    long.client.write("x");
    await once(long.client, "data");
    await clock.advance(5000);
    await long.connection.done;
    assert.deepEqual(long.records[0]?.flags, ["DT"]);
  });

  test("a client that goes while the upstream is dialed stops the dialing", async () => {
    let aborted = false;
    const cluster = clusterOf(
      (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            reject(signal.reason);
          });
        }),
    );
    const { client, connection, records } = await stage(cluster);
    await new Promise((resolve) => setTimeout(resolve, 10));
    client.resetAndDestroy();
    await connection.done;
    assert.equal(aborted, true);
    assert.equal(records.length, 1);
  });

  test("an abort cuts it in every state", async () => {
    const flowing = await stage(toEcho());
    flowing.client.write("x");
    await once(flowing.client, "data");
    flowing.connection.abort("draining");
    await flowing.connection.done;
    assert.equal(flowing.records[0]?.connectionTerminationDetails, "draining");

    const slow = netConnect({ port: portOf(server), host: "127.0.0.1" });
    const connecting = await stage(clusterOf(async () => slow));
    connecting.connection.abort("draining");
    await connecting.connection.done;
    await once(slow, "close");
  });
});

test("clusters are chosen by weight", () => {
  const clusters = [
    { cluster: "a", weight: 90 },
    { cluster: "b", weight: 10 },
  ];
  assert.equal(chooseCluster({ total: 100, clusters }, 0), "a");
  assert.equal(chooseCluster({ total: 100, clusters }, 0.899), "a");
  assert.equal(chooseCluster({ total: 100, clusters }, 0.9), "b");
  assert.equal(chooseCluster({ total: 100, clusters }, 0.999), "b");
  assert.equal(chooseCluster({ total: 0, clusters: [] }, 0), undefined);
  assert.equal(
    connectionHash([], "10.0.0.1", () => 5n),
    undefined,
  );
});
