import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as httpServer } from "node:http";
import { createServer as createHttp2Server, connect as http2Connect } from "node:http2";
import { type Socket, createServer as tcpServer } from "node:net";
import { after, before, describe, test } from "node:test";
import type { HboneClientSession } from "../../../src/shared/hbone/tunnel.ts";
import { requestOver, WaypointStage } from "../../support/waypoint/stage.ts";

const reviews = "10.96.1.1:80";
const ratings = "10.96.1.2:9080";
/** Its protocol is not declared: the first octets decide. */
const undeclared = "10.96.1.2:9090";
const db = "10.96.1.3:5432";

const stage = new WaypointStage();
let web: HboneClientSession;

before(async () => {
  stage.addIps("10.10.1.11", "10.10.2.11", "10.10.2.12", "10.10.2.13", "10.10.1.10");
  const answers = (ip: string) =>
    httpServer((request, response) => {
      response.end(`${ip} ${request.method} ${request.url} host=${request.headers.host}`);
    });
  for (const ip of ["10.10.1.11", "10.10.2.11"]) {
    await stage.listen(answers(ip), ip, 8080);
    await stage.ztunnel(ip, "shop/reviews");
  }
  await stage.ztunnel("10.10.2.12", "shop/ratings");
  // Declared as HTTP/2 on both sides.
  const http2 = createHttp2Server((request, response) => {
    response.end(`10.10.2.12 ${request.method} ${request.url}`);
  });
  await stage.listen(http2, "10.10.2.12", 9080);
  // Speaks HTTP or echoes, as the client likes.
  const both = tcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (first: Buffer) => {
      if (/^GET /.test(first.toString("latin1")))
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhttp");
      else {
        socket.write(first);
        socket.pipe(socket);
      }
    });
  });
  await stage.listen(both, "10.10.2.12", 9090);
  // Speaks first.
  const database = tcpServer((socket: Socket) => {
    socket.on("error", () => undefined);
    socket.write("ready\n");
    socket.pipe(socket);
  });
  await stage.listen(database, "10.10.2.13", 5433);
  await stage.ztunnel("10.10.2.13", "shop/db");
  await stage.start();
  web = await stage.client("shop/web", "10.10.1.10");
});

after(() => stage.close());

test("all recorded resources are accepted", () => {
  assert.deepEqual(stage.player.refusals, []);
});

describe("requests", () => {
  test("reach a pod of the service in a tunnel under the waypoint's identity", async () => {
    const answer = await stage.get(web, reviews, "/hello?x=1");
    assert.equal(answer.status, 200);
    assert.match(answer.body, /^10\.10\.[12]\.11 GET \/hello\?x=1 host=reviews\.shop$/);
    assert.equal(answer.headers["server"], "istio-envoy");
    const last = stage.arrivals.at(-1);
    assert.match(last?.authority ?? "", /^10\.10\.[12]\.11:8080$/);
    assert.equal(last?.peer, "spiffe://cluster.local/ns/shop/sa/waypoint");
  });

  test("of HTTP/2 without TLS are recognized by their preface", async () => {
    const inside = await stage.tunnel(web, ratings);
    const session = http2Connect("http://ratings.shop:9080", { createConnection: () => inside });
    session.on("error", () => undefined);
    const request = session.request({ ":path": "/two" });
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    const [[head]] = (await Promise.all([once(request, "response"), once(request, "end")])) as [
      [Record<string, unknown>],
      unknown,
    ];
    assert.equal(head[":status"], 200);
    assert.match(body, /^10\.10\.2\.12 GET \/two/);
    session.destroy();
  });

  test("many at once, on tunnels of several clients", async () => {
    const other = await stage.client("shop/mobile");
    const all = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        stage.get(index % 2 === 0 ? web : other, reviews, `/n${index}`),
      ),
    );
    assert.ok(all.every(({ status }) => status === 200));
  });
});

describe("connections of other protocols", () => {
  test("a server may speak first where the port is TCP", async () => {
    const inside = await stage.tunnel(web, db);
    const [greeting] = (await once(inside, "data")) as [Buffer];
    assert.equal(greeting.toString(), "ready\n");
    inside.write("ping");
    const [echo] = (await once(inside, "data")) as [Buffer];
    assert.equal(echo.toString(), "ping");
    inside.end();
    await once(inside, "end");
    assert.equal(stage.arrivals.at(-1)?.authority, "10.10.2.13:5433");
  });

  test("first octets decide where the protocol is not declared", async () => {
    const answer = await requestOver(await stage.tunnel(web, undeclared), "/");
    assert.equal(answer.body, "http");
    const inside = await stage.tunnel(web, undeclared);
    inside.write("\u0000\u0001binary");
    const [echo] = (await once(inside, "data")) as [Buffer];
    assert.equal(echo.toString(), "\u0000\u0001binary");
    inside.destroy();
  });
});

describe("what leads nowhere", () => {
  for (const authority of ["10.96.1.1:81", "10.99.9.9:80", "unknown.example:80", "not an address"])
    test(`${authority} is opened and reset`, async () => {
      const inside = await stage.tunnel(web, authority);
      const [error] = (await once(inside.resume(), "error")) as [Error];
      assert.match(error.message, /reset/);
    });

  test("the client's other tunnels do not notice", async () => {
    assert.equal((await stage.get(web, reviews, "/")).status, 200);
  });
});

test("the port of tunnels knows CONNECT and nothing else, and announces a hundred streams", async () => {
  const tls = await stage.secured("shop/web");
  const session = http2Connect("http://waypoint", { createConnection: () => tls });
  session.on("error", () => undefined);
  await once(session, "remoteSettings");
  assert.equal(session.remoteSettings.maxConcurrentStreams, 100);
  const request = session.request({ ":path": "/", ":authority": reviews });
  const [head] = (await once(request.resume(), "response")) as [Record<string, unknown>];
  assert.equal(head[":status"], 404);
  session.destroy();
});

describe("who may come in", () => {
  test("nobody of another trust domain", async () => {
    await assert.rejects(stage.client("shop/web", "127.0.0.1", "elsewhere.example"));
    assert.match(stage.log.join(""), /peer is of another trust domain/);
  });
});
