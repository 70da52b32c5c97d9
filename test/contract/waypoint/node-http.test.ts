/** node:http on both sides of ours, over real sockets: bodies both ways, trailers, upgrades, 100, breaks, a slow reader. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { handleRequests } from "../../../src/waypoint/exchange/serve.ts";
import { Http1Server } from "../../../src/waypoint/http/http1/server.ts";
import { openingOf, openTransport } from "../../../src/waypoint/http/transport.ts";
import type { StreamRecord } from "../../../src/waypoint/telemetry/record.ts";
import { noTelemetry } from "../../../src/waypoint/telemetry/request-telemetry.ts";
import { downstream } from "../../support/stream-record.ts";
import { chainOf, forwardTo, routeOf } from "../../support/waypoint/chains.ts";
import { clustersOf, endpointAt, StaticCluster } from "../../support/waypoint/static-clusters.ts";

const big = Buffer.alloc(24 * 1024 * 1024, "0123456789abcdef~");
const sum = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

let upstream: Server;
let cluster: StaticCluster;
let front: ReturnType<typeof createTcpServer>;
let port: number;
const records: StreamRecord[] = [];
const upstreamSockets = new Set<Socket>();
const agent = new Agent({ keepAlive: true });

before(async () => {
  upstream = createServer((incoming, response) => {
    const hash = createHash("sha256");
    incoming.on("data", (chunk: Buffer) => hash.update(chunk));
    incoming.on("end", () => {
      if (incoming.url === "/big") response.end(big);
      else if (incoming.url === "/trickle") response.write("first");
      else {
        response.writeHead(200, { trailer: "x-sum" });
        response.write("chunk");
        response.addTrailers({ "x-sum": hash.digest("hex") });
        response.end();
      }
    });
  });
  upstream.on("connection", (socket: Socket) => {
    upstreamSockets.add(socket);
    socket.on("close", () => upstreamSockets.delete(socket));
  });
  upstream.on("upgrade", (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${incoming.headers.upgrade}\r\n\r\n`,
    );
    if (head.length > 0) socket.write(head);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  cluster = new StaticCluster("web", [endpointAt((upstream.address() as AddressInfo).port)]);
  const chain = chainOf([routeOf({ kind: "forward", forward: forwardTo("web") })]);
  const handling = handleRequests(
    {
      clusters: clustersOf(cluster),
      telemetry: {
        ...noTelemetry,
        finish: (_chain, record) => records.push(record),
      },
      clock: systemClock,
      random: Math.random,
      sourcePeer: () => undefined,
    },
    () => chain,
  );
  front = createTcpServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const owner = { ...handling, clock: systemClock, connection: downstream() };
    new Http1Server(openTransport(openingOf(socket), systemClock), chain.http, owner).start();
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  port = (front.address() as AddressInfo).port;
});

after(async () => {
  agent.destroy();
  cluster.close();
  front.close();
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
});

async function read(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

async function ask(
  path: string,
  options: { method?: string; body?: Buffer; headers?: Record<string, string> } = {},
): Promise<IncomingMessage> {
  const { method = "GET", body, headers = {} } = options;
  const asked = request({ port, host: "127.0.0.1", path, method, headers, agent });
  asked.end(body);
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return answer;
}

test("a large answer arrives as it was, many at once", async () => {
  const answers = await Promise.all([1, 2, 3].map(async () => read(await ask("/big"))));
  for (const answer of answers) assert.equal(sum(answer), sum(big));
});

test("a large request arrives as it was, with a length and in chunks; trailers come back", async () => {
  for (const headers of [
    { "content-length": String(big.length) },
    { "transfer-encoding": "chunked" },
  ]) {
    const answer = await ask("/sum", { method: "POST", body: big, headers: headers as never });
    assert.equal((await read(answer)).toString(), "chunk");
    assert.equal(answer.trailers["x-sum"], sum(big));
  }
});

test("the client's 100 comes from the upstream", async () => {
  const asked = request({
    port,
    host: "127.0.0.1",
    path: "/sum",
    method: "POST",
    headers: { expect: "100-continue", "content-length": "5" },
    agent,
  });
  asked.flushHeaders();
  await once(asked, "continue");
  asked.end("hello");
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  await read(answer);
  assert.equal(answer.trailers["x-sum"], sum(Buffer.from("hello")));
});

test("a websocket's octets go both ways until either side ends", async () => {
  const asked = request({
    port,
    host: "127.0.0.1",
    path: "/ws",
    headers: { connection: "upgrade", upgrade: "websocket" },
  });
  asked.end();
  const [answer, socket] = (await once(asked, "upgrade")) as [IncomingMessage, Socket];
  assert.equal(answer.statusCode, 101);
  let echoed = 0;
  socket.on("data", (chunk: Buffer) => {
    echoed += chunk.length;
  });
  socket.write(big);
  while (echoed < big.length) await once(socket, "data");
  socket.end();
  await once(socket, "close");
  assert.equal(echoed, big.length);
});

test("a client that leaves in the middle frees the upstream's connection", async () => {
  const before = upstreamSockets.size;
  const asked = request({ port, host: "127.0.0.1", path: "/trickle" });
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  await once(answer, "data");
  answer.on("error", () => undefined);
  records.length = 0;
  asked.destroy();
  const deadline = Date.now() + 2000;
  while (records.length === 0 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(records[0]?.flags, ["DC"]);
  while (upstreamSockets.size > before && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(upstreamSockets.size <= before);
});

test("a reader that stalls stops the upstream; memory does not grow with the answer", async () => {
  const asked = request({ port, host: "127.0.0.1", path: "/big" });
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  answer.pause();
  await new Promise((resolve) => setTimeout(resolve, 400));
  const unsent = [...upstreamSockets].reduce((most, one) => Math.max(most, one.writableLength), 0);
  assert.ok(unsent > big.length / 2, "the upstream still holds most of it");
  assert.equal(sum(await read(answer)), sum(big));
});
