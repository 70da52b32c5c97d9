/** The server codec's good behavior: framing, keep-alive, pipelining, pauses, tunnels, endings. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fields } from "../../../../../src/waypoint/http/message.ts";
import { FakeClock } from "../../../../support/clock.ts";
import {
  answerOk,
  type SeenRequest,
  ServerUnderTest,
  settled,
} from "../../../../support/waypoint/http1.ts";

const get = (path: string, fields = ""): string =>
  `GET ${path} HTTP/1.1\r\nHost: web\r\n${fields}\r\n`;

function only(under: ServerUnderTest): SeenRequest {
  assert.equal(under.requests.length, 1);
  const [request] = under.requests;
  assert.ok(request);
  return request;
}

test("a head is read whole: method, target, authority, end-to-end fields", () => {
  const under = new ServerUnderTest();
  const hop =
    "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nTE: trailers, deflate\r\n";
  under.transport.play(
    `\r\nPUT /a?b=c HTTP/1.1\r\nhOST:  web:80 \r\nX-One:\t a b \t\r\n${hop}X-One: \xe4\r\nEmpty:\r\n\r\n`,
  );
  const { head, endStream } = only(under);
  assert.equal(head.method, "PUT");
  assert.equal(head.path, "/a?b=c");
  assert.equal(head.authority, "web:80");
  assert.equal(endStream, true);
  assert.deepEqual(head.fields.flat, ["x-one", "a b", "x-one", "\xe4", "empty", ""]);
});

test("te: trailers goes on, for gRPC", () => {
  const under = new ServerUnderTest();
  under.transport.play(get("/", "TE: trailers\r\nConnection: TE\r\n"));
  assert.deepEqual(only(under).head.fields.flat, ["te", "trailers"]);
});

for (const [target, authority, path] of [
  ["http://other:81/x?y", "other:81", "/x?y"],
  ["HTTP://other", "other", "/"],
  ["http://other?y", "other", "/?y"],
  ["http://[::1]:80/", "[::1]:80", "/"],
] as const)
  test(`the target ${target} names the authority, whatever Host says`, () => {
    const under = new ServerUnderTest();
    under.transport.play(get(target));
    const { head } = only(under);
    assert.equal(head.authority, authority);
    assert.equal(head.path, path);
  });

test("head, body and end of an answer leave in one write, while the request's read goes on", () => {
  const under = new ServerUnderTest();
  under.answers = answerOk;
  under.transport.play(get("/"));
  assert.equal(under.transport.writes, 1);
  assert.equal(under.transport.written, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  assert.equal(under.transport.ending, "open");
});

test("an answer of unknown length is chunked, with trailers", async () => {
  const under = new ServerUnderTest();
  under.transport.play(get("/"));
  const { stream } = only(under);
  stream.head({ status: 200, fields: new Fields(["a", "b"]) }, false);
  stream.body(Buffer.from("xhellox"), 1, 6);
  stream.end(new Fields(["grpc-status", "0"]));
  await settled();
  assert.equal(
    under.transport.written,
    "HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n",
  );
});

for (const [name, method, status, fields, body, expected] of [
  ["HEAD", "HEAD", 200, ["content-length", "9"], "", "content-length: 9\r\n"],
  ["HEAD of unknown length", "HEAD", 200, [], "", ""],
  [
    "HEAD whose upstream sent a body",
    "HEAD",
    200,
    ["content-length", "3"],
    "abc",
    "content-length: 3\r\n",
  ],
  ["204", "GET", 204, ["content-length", "0"], "", ""],
  ["304", "GET", 304, ["content-length", "7"], "", "content-length: 7\r\n"],
  ["no body", "GET", 200, [], "", "content-length: 0\r\n"],
] as const)
  test(`the answer's framing: ${name}`, async () => {
    const under = new ServerUnderTest();
    under.transport.play(`${method} / HTTP/1.1\r\nHost: web\r\n\r\n`);
    const { stream } = only(under);
    stream.head({ status, fields: new Fields([...fields]) }, body === "");
    if (body !== "") {
      stream.body(Buffer.from(body), 0, body.length);
      stream.end(undefined);
    }
    await settled();
    const line = under.transport.written.slice(0, under.transport.written.indexOf("\r\n") + 2);
    assert.equal(under.transport.written, `${line}${expected}\r\n`);
    assert.equal(under.transport.ending, "open");
  });

test("requests that come at once are answered in their order, each after the other", () => {
  const under = new ServerUnderTest();
  under.transport.play(get("/1") + get("/2") + get("/3"));
  assert.equal(under.requests.length, 1);
  assert.equal(under.transport.paused, true, "no more is read while one waits");
  for (const index of [0, 1, 2]) {
    const request = under.requests[index];
    assert.ok(request);
    assert.equal(request.head.path, `/${index + 1}`);
    answerOk(request, `answer ${index + 1}`);
  }
  assert.equal(under.requests.length, 3);
  assert.equal(under.transport.paused, false);
});

test("answers given at once need no recursion, however many requests came together", () => {
  const under = new ServerUnderTest();
  under.answers = answerOk;
  under.transport.play(get("/").repeat(5000));
  assert.equal(under.requests.length, 5000);
});

test("bodies of a stated length and of chunks, in one piece and byte by byte", () => {
  for (const pieceBytes of [1, 3, 1000]) {
    const under = new ServerUnderTest();
    under.answers = answerOk;
    const chunks =
      '5\r\nhello\r\n0006;a=b;c="d;\\" e"\r\n world\r\n0\r\nX-T: 1\r\nHost: no\r\n\r\n';
    under.transport.play(
      `POST /1 HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello` +
        `POST /2 HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: Chunked\r\n\r\n${chunks}` +
        get("/3"),
      pieceBytes,
    );
    assert.deepEqual(
      under.requests.map(({ body, ended, trailers }) => [body, ended, trailers]),
      [
        ["hello", true, undefined],
        ["hello world", true, ["x-t", "1"]],
        ["", true, undefined],
      ],
    );
  }
});

test("a receiver that asks for a pause stops the transport until it is ready", () => {
  const under = new ServerUnderTest();
  under.transport.play("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\n");
  under.takesMore = false;
  under.transport.play("12345");
  assert.equal(under.transport.paused, true);
  only(under).stream.resume();
  assert.equal(under.transport.paused, false);
});

test("a client that does not read stops the answer's writer until it does", () => {
  const under = new ServerUnderTest();
  under.transport.play(get("/"));
  const { stream } = only(under);
  under.transport.takesMore = false;
  stream.head({ status: 200, fields: new Fields() }, false);
  const block = Buffer.alloc(200_000);
  assert.equal(stream.body(block, 0, block.length), false);
  under.transport.playWritable();
  assert.equal(only(under).writable, 1);
});

test("an answer that begins before its request has ended is the last", () => {
  const under = new ServerUnderTest();
  under.transport.play("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 100\r\n\r\nabc");
  answerOk(only(under));
  assert.match(under.transport.written, /connection: close\r\n/);
  assert.equal(under.transport.ending, "closed");
});

test("connection: close ends the connection with the answer", () => {
  const under = new ServerUnderTest();
  under.answers = answerOk;
  under.transport.play(get("/", "Connection: close\r\n") + get("/smuggled"));
  assert.match(under.transport.written, /connection: close\r\n/);
  assert.equal(under.requests.length, 1);
  assert.equal(under.transport.ending, "closed");
});

test("HTTP/1.0, where it is accepted: closed by default, kept if asked, framed by the close", () => {
  const under = new ServerUnderTest({ acceptHttp10: true });
  under.transport.play("GET / HTTP/1.0\r\nHost: web\r\nConnection: keep-alive\r\n\r\n");
  answerOk(only(under));
  assert.equal(under.transport.ending, "open");
  under.transport.play("GET / HTTP/1.0\r\nHost: web\r\n\r\n");
  assert.match(under.transport.written, /connection: keep-alive\r\n/);
  const { stream } = under.requests[1] ?? only(under);
  stream.head({ status: 200, fields: new Fields() }, false);
  stream.body(Buffer.from("abc"), 0, 3);
  stream.end(undefined);
  assert.match(under.transport.written, /HTTP\/1.1 200 OK\r\nconnection: close\r\n\r\nabc$/);
  assert.equal(under.transport.ending, "closed");
});

test("interim answers go before the final one", async () => {
  const under = new ServerUnderTest();
  under.transport.play(
    "POST / HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
  );
  const request = only(under);
  assert.equal(request.head.fields.get("expect"), "100-continue");
  request.stream.interim({ status: 100, fields: new Fields() });
  await settled();
  assert.equal(under.transport.written, "HTTP/1.1 100 Continue\r\n\r\n");
  under.transport.play("ab");
  assert.equal(request.body, "ab");
});

const upgrade = get("/", "Connection: Upgrade\r\nUpgrade: WebSocket\r\n");

test("an upgrade: octets behind the head wait for the 101, then flow both ways, each to its own end", async () => {
  const under = new ServerUnderTest();
  under.transport.play(`${upgrade}early`);
  const request = only(under);
  assert.equal(request.head.upgrade, "websocket");
  assert.equal(request.body, "");
  request.stream.head({ status: 101, fields: new Fields(["sec-x", "1"]) }, false);
  await settled();
  assert.equal(
    under.transport.written,
    "HTTP/1.1 101 Switching Protocols\r\nsec-x: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
  );
  assert.equal(request.body, "early");
  under.transport.play("GET / HTTP/1.1\r\n\r\n");
  assert.equal(request.body, "earlyGET / HTTP/1.1\r\n\r\n");
  under.transport.playEnd();
  assert.equal(request.ended, true);
  request.stream.body(Buffer.from("bye"), 0, 3);
  request.stream.end(undefined);
  assert.match(under.transport.written, /bye$/);
  assert.equal(under.transport.ending, "ended");
  under.transport.playClosed({ kind: "clean" });
  assert.equal(request.reset, undefined);
});

test("an upgrade that is refused ends the connection: what follows has two readings", () => {
  const under = new ServerUnderTest();
  under.transport.play(upgrade + get("/smuggled"));
  answerOk(only(under));
  under.transport.play(get("/smuggled"));
  assert.equal(under.requests.length, 1);
  assert.equal(under.transport.ending, "closed");
});

test("an offer of h2c is read past", () => {
  const under = new ServerUnderTest();
  under.answers = answerOk;
  const offer =
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
  under.transport.play(get("/", offer) + get("/2"));
  assert.equal(under.requests.length, 2);
  assert.equal(under.requests[0]?.head.upgrade, undefined);
  assert.deepEqual(under.requests[0]?.head.fields.flat, []);
});

test("CONNECT opens a tunnel with its 200", async () => {
  const under = new ServerUnderTest();
  under.transport.play("CONNECT web:443 HTTP/1.1\r\nHost: web:443\r\n\r\n");
  const request = only(under);
  assert.deepEqual([request.head.authority, request.head.path], ["web:443", ""]);
  request.stream.head({ status: 200, fields: new Fields(["content-length", "5"]) }, false);
  await settled();
  assert.equal(under.transport.written, "HTTP/1.1 200 OK\r\n\r\n");
  under.transport.play("\x16raw");
  assert.equal(request.body, "\x16raw");
});

test("a client that goes away is told to the receiver, before and after the end of its request", () => {
  for (const text of [get("/"), "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\nabc"]) {
    const under = new ServerUnderTest();
    under.transport.play(text);
    under.transport.playEnd();
    assert.equal(only(under).reset, "connection-lost");
    assert.equal(under.transport.ending, "closed");
    under.transport.playClosed();
  }
});

test("limits: a head of 60 KiB, a hundred fields", () => {
  const ok = new ServerUnderTest();
  ok.transport.play(get("/", `A: ${"x".repeat(60_000)}\r\n`));
  assert.equal(ok.requests.length, 1);
  for (const fields of [`A: ${"x".repeat(70_000)}\r\n`, "A: b\r\n".repeat(100)])
    for (const pieceBytes of [500, 1_000_000]) {
      const under = new ServerUnderTest();
      under.transport.play(get("/", fields), pieceBytes);
      assert.match(under.transport.written, /^HTTP\/1.1 431 /);
      assert.equal(under.requests.length, 0);
    }
});

test("a head without end is refused as soon as it is too long", () => {
  const under = new ServerUnderTest();
  under.transport.play(`GET / HTTP/1.1\r\nHost: web\r\nA: ${"x".repeat(80_000)}`, 1000);
  assert.match(under.transport.written, /^HTTP\/1.1 431 /);
});

test("underscores in names: dropped or refused where configured", () => {
  const dropping = new ServerUnderTest({ underscoresInNames: "drop" });
  dropping.transport.play(get("/", "x_a: 1\r\nx-b: 2\r\n"));
  assert.deepEqual(only(dropping).head.fields.flat, ["x-b", "2"]);
  const refusing = new ServerUnderTest({ underscoresInNames: "reject" });
  refusing.transport.play(get("/", "x_a: 1\r\n"));
  assert.equal(refusing.refused[0]?.details, "http1.unexpected_underscore");
});

test("an answer longer or shorter than it said breaks the connection", () => {
  for (const [length, body] of [
    [2, "abc"],
    [4, "abc"],
  ] as const) {
    const under = new ServerUnderTest();
    under.transport.play(get("/"));
    const { stream } = only(under);
    stream.head({ status: 200, fields: new Fields(["content-length", String(length)]) }, false);
    stream.body(Buffer.from(body), 0, body.length);
    stream.end(undefined);
    assert.equal(under.transport.ending, "closed");
    assert.ok(under.transport.written.endsWith(body.slice(0, length)));
  }
});

test("slow heads, idleness and age end the connection when their time has come", async () => {
  const clock = new FakeClock();
  const slow = new ServerUnderTest({ requestHeadersTimeoutMs: 1000 }, clock);
  slow.transport.play("GET / HTTP/1.1\r\n");
  await clock.advance(1001);
  assert.match(slow.transport.written, /^HTTP\/1.1 408 /);
  assert.equal(slow.refused[0]?.details, "request_header_timeout");

  const idle = new ServerUnderTest({ connectionIdleTimeoutMs: 1000 }, clock);
  await clock.advance(800);
  idle.answers = answerOk;
  idle.transport.play(get("/"));
  await clock.advance(800);
  assert.equal(idle.transport.ending, "open");
  await clock.advance(300);
  assert.equal(idle.transport.ending, "closed");

  const old = new ServerUnderTest({ maxConnectionDurationMs: 1000, drainTimeoutMs: 500 }, clock);
  old.answers = answerOk;
  await clock.advance(1001);
  old.transport.play(get("/"));
  assert.match(old.transport.written, /connection: close/);
  assert.equal(old.transport.ending, "closed");
});

test("a drain tells the next request, and leaves an idle client after a while", async () => {
  const clock = new FakeClock();
  const under = new ServerUnderTest({ drainTimeoutMs: 500 }, clock);
  under.server.drain();
  assert.equal(under.transport.ending, "open");
  await clock.advance(501);
  assert.equal(under.transport.ending, "closed");
});
