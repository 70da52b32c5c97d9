/** HTTP/2 through everything: our server, exchanges with routes and deadlines, clusters with pools, our client; gRPC at both ends. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as http2Connect } from "node:http2";
import { createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import {
  Client,
  credentials,
  Server as GrpcServer,
  Metadata,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { sniffCodec } from "../../../../src/waypoint/http/sniff.ts";
import { openingOf } from "../../../../src/waypoint/http/transport.ts";
import type { HttpChain } from "../../../../src/waypoint/model/chain.ts";
import type { StreamRecord } from "../../../../src/waypoint/telemetry/record.ts";
import { noTelemetry } from "../../../../src/waypoint/telemetry/request-telemetry.ts";
import { serveHttp } from "../../../../src/waypoint/terminate/http-server.ts";
import type { Clusters } from "../../../../src/waypoint/upstream/upstream.ts";
import type { Upstreams } from "../../../../src/waypoint/upstream/upstreams.ts";
import { portOf } from "../../../support/hbone.ts";
import { downstream } from "../../../support/stream-record.ts";
import { chainOf, forwardTo, routeOf } from "../../../support/waypoint/chains.ts";
import {
  assignment,
  clusterConfig,
  upstreamHttp,
  upstreams,
} from "../../../support/waypoint/upstreams.ts";

const passBytes = {
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
};
const service: ServiceDefinition = {
  unary: { path: "/test.Echo/Unary", requestStream: false, responseStream: false, ...passBytes },
  both: { path: "/test.Echo/Both", requestStream: true, responseStream: true, ...passBytes },
  slow: { path: "/test.Echo/Slow", requestStream: false, responseStream: false, ...passBytes },
};
const identity = (value: Buffer): Buffer => value;

describe("gRPC through a chain", { timeout: 30_000 }, () => {
  const grpc = new GrpcServer();
  const records: StreamRecord[] = [];
  let pools: Upstreams;
  let front: Server;
  let client: Client;

  before(async () => {
    grpc.addService(service, {
      unary: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) =>
        done(null, call.request),
      both: (call: NodeJS.ReadWriteStream) => {
        call.on("data", (value) => call.write(value));
        call.on("end", () => call.end());
      },
      slow: () => undefined,
    });
    const bind = promisify(grpc.bindAsync.bind(grpc));
    const port = Number(await bind("127.0.0.1:0", ServerCredentials.createInsecure()));
    pools = upstreams();
    const http = upstreamHttp({ protocol: "http2" });
    const clusters = pools.clusters.update(
      new Map([["c", clusterConfig({ http })]]),
      new Map([["c", assignment([port])]]),
    );
    const chain = chainOf([
      routeOf({ kind: "forward", forward: forwardTo("c", { maxGrpcTimeoutMs: 0 }) }),
    ]);
    front = await frontOf(chain, clusters, records);
    client = new Client(`127.0.0.1:${portOf(front)}`, credentials.createInsecure());
  });
  after(() => {
    client.close();
    grpc.forceShutdown();
    pools.destroy();
    front.close();
  });

  test("calls, streams, and their records", async () => {
    for (const size of [0, 100_000]) {
      const value = Buffer.alloc(size, "v");
      const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
        client.makeUnaryRequest("/test.Echo/Unary", identity, identity, value, (error, got) =>
          error === null ? resolve(got) : reject(error),
        );
      });
      assert.ok(answer?.equals(value));
    }
    const call = client.makeBidiStreamRequest("/test.Echo/Both", identity, identity);
    for (let round = 0; round < 5; round++) {
      call.write(Buffer.alloc(20_000, round));
      const [value] = (await once(call, "data")) as [Buffer];
      assert.equal(value.length, 20_000);
    }
    call.end();
    await once(call, "end");
    const [first, , last] = records;
    assert.deepEqual(
      [first?.http?.protocol, first?.http?.status, first?.http?.grpcStatus, first?.flags],
      ["HTTP/2", 200, "0", []],
    );
    assert.deepEqual([last?.http?.requestMessages, last?.http?.responseMessages], [5, 5]);
  });

  test("a deadline ends both sides", async () => {
    const before = records.length;
    const error = await new Promise<{ code: number } | null>((resolve) => {
      const deadline = { deadline: Date.now() + 100 };
      const path = "/test.Echo/Slow";
      client.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.alloc(1),
        new Metadata(),
        deadline,
        (e) => resolve(e),
      );
    });
    assert.equal(error?.code, status.DEADLINE_EXCEEDED);
    for (let tries = 0; records.length === before && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(pools.clusters.views()[0]?.underWay.requests, 0);
  });
});

async function frontOf(
  chain: HttpChain,
  clusters: Clusters,
  records: StreamRecord[],
): Promise<Server> {
  const exchange = {
    clusters,
    telemetry: {
      ...noTelemetry,
      finish: (_chain: unknown, record: StreamRecord) => records.push(record),
    },
    clock: systemClock,
    random: Math.random,
    sourcePeer: () => undefined,
  };
  const serving = { exchange, chain: () => chain, clock: systemClock };
  const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
  const front = createServer(options, async (socket) => {
    const choice = await sniffCodec(openingOf(socket), systemClock);
    if (choice.kind !== "closed")
      serveHttp(serving, chain, choice.kind, choice.opening, downstream());
  });
  await once(front.listen(0, "127.0.0.1"), "listening");
  return front;
}

test("HTTP/2 in, HTTP/1.1 out: framing is translated, half an answer is a reset", {
  timeout: 10_000,
}, async () => {
  const backend = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (head) => {
      const isHalf = head.toString().startsWith("GET /half");
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: keep-alive\r\n\r\n01234");
      if (isHalf) socket.end();
      else socket.write("56789");
    });
  });
  await once(backend.listen(0, "127.0.0.1"), "listening");
  const pools = upstreams();
  const clusters = pools.clusters.update(
    new Map([["c", clusterConfig()]]),
    new Map([["c", assignment([portOf(backend)])]]),
  );
  const records: StreamRecord[] = [];
  const chain = chainOf([routeOf({ kind: "forward", forward: forwardTo("c") })]);
  const front = await frontOf(chain, clusters, records);
  const session = http2Connect(`http://127.0.0.1:${portOf(front)}`);
  const whole = session.request({ ":path": "/whole" });
  const [headers] = (await once(whole, "response")) as [Record<string, unknown>];
  assert.deepEqual([headers["content-length"], headers["connection"]], ["10", undefined]);
  assert.equal(await textOf(whole), "0123456789");
  const half = session.request({ ":path": "/half" });
  await assert.rejects(textOf(half), /INTERNAL_ERROR/);
  assert.equal(records.at(-1)?.flags.join(), "UPE");
  session.close();
  pools.destroy();
  front.close();
  backend.close();
});

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = "";
  for await (const piece of stream) text += String(piece);
  return text;
}
