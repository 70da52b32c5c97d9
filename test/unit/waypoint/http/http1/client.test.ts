/** The client codec: what it writes, how it reads answers, and when a connection may be used again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  defaultHttp1ClientSettings,
  Http1Client,
} from "../../../../../src/waypoint/http/http1/client.ts";
import { Fields, type RequestHead } from "../../../../../src/waypoint/http/message.ts";
import type { BodyWriter } from "../../../../../src/waypoint/http/stream.ts";
import { FakeTransport } from "../../../../support/waypoint/fake-transport.ts";
import { settled } from "../../../../support/waypoint/http1.ts";

class ClientUnderTest {
  readonly transport = new FakeTransport();
  readonly events: string[] = [];
  readonly client = new Http1Client(this.transport, defaultHttp1ClientSettings, {
    available: () => this.events.push("available"),
    unusable: () => this.events.push("unusable"),
  });
  body = "";
  takesMore = true;

  constructor() {
    this.client.start();
  }

  open(change: Partial<RequestHead> = {}, endStream = true): BodyWriter {
    const head = {
      method: "GET",
      scheme: "http",
      authority: "web",
      path: "/",
      fields: new Fields(),
      upgrade: undefined,
      ...change,
    };
    return this.client.open(head, endStream, {
      interim: ({ status }) => this.events.push(`interim ${status}`),
      head: ({ status, fields }, end) =>
        this.events.push([status, ...fields.flat, end ? "end" : "more"].join(" ")),
      body: (bytes, start, end) => {
        this.body += bytes.toString("latin1", start, end);
        return this.takesMore;
      },
      end: (trailers) => this.events.push(["end", ...(trailers?.flat ?? [])].join(" ")),
      reset: (reason) => this.events.push(`reset ${reason.kind}`),
      writable: () => this.events.push("writable"),
    });
  }
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

test("requests on one connection, one after the other", async () => {
  const under = new ClientUnderTest();
  for (const round of [1, 2]) {
    assert.equal(under.client.capacity, 1);
    under.open({ path: `/${round}`, fields: new Fields(["a", "b"]) });
    assert.equal(under.client.capacity, 0);
    await settled();
    under.transport.play(ok);
  }
  assert.equal(
    under.transport.written,
    "GET /1 HTTP/1.1\r\nhost: web\r\na: b\r\n\r\nGET /2 HTTP/1.1\r\nhost: web\r\na: b\r\n\r\n",
  );
  const round = ["200 content-length 2 more", "end", "available"];
  assert.deepEqual(under.events, [...round, ...round]);
  assert.equal(under.client.servedRequests, 2);
});

for (const [name, change, endStream, expected] of [
  ["POST without body", { method: "POST" }, true, "content-length: 0\r\n\r\n"],
  ["DELETE without body", { method: "DELETE" }, true, "\r\n"],
  [
    "body of known length",
    { method: "PUT", fields: new Fields(["content-length", "3"]) },
    false,
    "content-length: 3\r\n\r\nabc",
  ],
  [
    "body of unknown length",
    { method: "PUT" },
    false,
    "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  ],
] as const)
  test(`a request's framing: ${name}`, async () => {
    const under = new ClientUnderTest();
    const writer = under.open(change, endStream);
    if (!endStream) {
      writer.body(Buffer.from("abc"), 0, 3);
      writer.end(undefined);
    }
    await settled();
    assert.equal(
      under.transport.written,
      `${change.method} / HTTP/1.1\r\nhost: web\r\n${expected}`,
    );
    assert.equal(under.transport.writes, 1);
  });

/** Octets, what the receiver is told, whether the connection can be used again. */
const answers: readonly (readonly [string, string, readonly string[], string, boolean])[] = [
  ["length", ok, ["200 content-length 2 more", "end"], "ok", true],
  ["empty", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", ["200 content-length 0 end"], "", true],
  [
    "chunks",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: 1\r\n\r\n",
    ["200 more", "end t 1"],
    "ok",
    true,
  ],
  ["204", "HTTP/1.1 204 No Content\r\n\r\n", ["204 end"], "", true],
  [
    "304 with length",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ["304 content-length 5 end"],
    "",
    true,
  ],
  [
    "100 and 103 first",
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok}`,
    ["interim 100", "interim 103", "200 content-length 2 more", "end"],
    "ok",
    true,
  ],
  [
    "connection: close",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    ["200 content-length 2 more", "end"],
    "ok",
    false,
  ],
  [
    "HTTP/1.0",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ["200 content-length 2 more", "end"],
    "ok",
    false,
  ],
  [
    "HTTP/1.0 kept",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ["200 content-length 2 more", "end"],
    "ok",
    true,
  ],
];

for (const [name, octets, told, body, reusable] of answers)
  for (const pieceBytes of [1, 1000])
    test(`an answer: ${name}, in pieces of ${pieceBytes}`, async () => {
      const under = new ClientUnderTest();
      under.open();
      await settled();
      under.transport.play(octets, pieceBytes);
      assert.deepEqual(under.events, [...told, reusable ? "available" : "unusable"]);
      assert.equal(under.body, body);
      assert.equal(under.transport.ending, reusable ? "open" : "closed");
    });

/** What no upstream may send. The attempt fails with it, and the connection is cut. */
const refusedAnswers: readonly (readonly [string, string])[] = [
  ["not HTTP", "SSH-2.0-OpenSSH\r\n"],
  ["HTTP/0.9", "<html>"],
  ["HTTP/2", "HTTP/2 200\r\n\r\n"],
  ["version 1.2", "HTTP/1.2 200 OK\r\n\r\n"],
  ["status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
  ["status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
  ["status 600", "HTTP/1.1 600 OK\r\n\r\n"],
  ["status 0xx", "HTTP/1.1 099 OK\r\n\r\n"],
  ["bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
  [
    "CL and TE",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"],
  ["length list", "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok"],
  ["other coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
  ["TE in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"],
  ["NUL", "HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 0\r\n\r\n"],
  ["space before colon", "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n"],
  [
    "101 unasked",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
  ],
  ["bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
  ["204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"],
  ["endless head", `HTTP/1.1 200 OK\r\nA: ${"x".repeat(90_000)}`],
];

for (const [name, octets] of refusedAnswers)
  for (const pieceBytes of [1, 100_000])
    test(`refuses an answer: ${name}, in pieces of ${pieceBytes}`, async () => {
      const under = new ClientUnderTest();
      under.open();
      await settled();
      under.transport.play(octets, pieceBytes);
      assert.deepEqual(under.events.slice(-2), ["reset protocol-error", "unusable"]);
      assert.equal(under.transport.ending, "reset");
    });

test("octets outside an answer end the connection: behind one, and with no request at all", async () => {
  const behind = new ClientUnderTest();
  behind.open();
  await settled();
  behind.transport.play(`${ok}HTTP/1.1 200 OK\r\n`);
  assert.deepEqual(behind.events, ["200 content-length 2 more", "end", "available", "unusable"]);
  assert.equal(behind.client.capacity, 0);
  const unasked = new ClientUnderTest();
  unasked.transport.play(ok);
  assert.deepEqual(unasked.events, ["unusable"]);
});

test("HEAD's answer has no body, whatever its length says", async () => {
  const under = new ClientUnderTest();
  under.open({ method: "HEAD" });
  await settled();
  under.transport.play("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
  assert.deepEqual(under.events, ["200 content-length 100 end", "available"]);
});

test("an answer without length ends with the connection; one with a length must not", async () => {
  const open = new ClientUnderTest();
  open.open();
  await settled();
  open.transport.play("HTTP/1.1 200 OK\r\n\r\nsome");
  open.transport.playEnd();
  assert.deepEqual(open.events, ["200 more", "end", "unusable"]);
  const half = new ClientUnderTest();
  half.open();
  await settled();
  half.transport.play("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome");
  half.transport.playEnd();
  assert.deepEqual(half.events, ["200 content-length 10 more", "reset protocol-error", "unusable"]);
});

test("an answer before the request's end is taken, and the connection left", async () => {
  const under = new ClientUnderTest();
  under.open({ method: "POST" }, false);
  await settled();
  under.transport.play(ok);
  assert.deepEqual(under.events, ["200 content-length 2 more", "end", "unusable"]);
  assert.equal(under.transport.ending, "closed");
});

test("a request that is broken off takes its connection with it", async () => {
  const under = new ClientUnderTest();
  const writer = under.open({ method: "POST" }, false);
  await settled();
  writer.reset({ kind: "local", detail: "client gone" });
  assert.equal(under.transport.ending, "reset");
  assert.deepEqual(under.events, ["unusable"]);
});

test("a tunnel: what comes early waits for the 101; each direction ends on its own", async () => {
  const under = new ClientUnderTest();
  const writer = under.open({ upgrade: "websocket" }, false);
  assert.equal(writer.body(Buffer.from("early"), 0, 5), false);
  await settled();
  assert.equal(
    under.transport.written,
    "GET / HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
  );
  under.transport.play(
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nraw",
  );
  assert.deepEqual(under.events, ["101 more", "writable"]);
  assert.equal(under.body, "raw");
  assert.match(under.transport.written, /early$/);
  writer.end(undefined);
  assert.equal(under.transport.ending, "ended");
  under.transport.playEnd();
  under.transport.playClosed({ kind: "clean" });
  assert.deepEqual(under.events, ["101 more", "writable", "end", "unusable"]);
});

test("a refused tunnel: nothing meant for it goes out, and the connection is not used again", async () => {
  const under = new ClientUnderTest();
  const writer = under.open({ upgrade: "websocket" }, false);
  writer.body(Buffer.from("GET /smuggled"), 0, 13);
  await settled();
  under.transport.play(ok);
  assert.doesNotMatch(under.transport.written, /smuggled/);
  assert.equal(under.transport.ending, "closed");
});

test("pauses in both directions", async () => {
  const under = new ClientUnderTest();
  const writer = under.open({ method: "POST" }, false);
  under.transport.takesMore = false;
  assert.equal(writer.body(Buffer.alloc(200_000), 0, 200_000), false);
  under.transport.playWritable();
  assert.deepEqual(under.events, ["writable"]);
  under.takesMore = false;
  under.transport.play("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab");
  assert.equal(under.transport.paused, true);
  writer.resume();
  assert.equal(under.transport.paused, false);
});

test("a drain waits for the answer under way", async () => {
  const under = new ClientUnderTest();
  under.open();
  await settled();
  under.client.drain();
  assert.equal(under.transport.ending, "open");
  under.transport.play(ok);
  assert.equal(under.transport.ending, "closed");
  assert.deepEqual(under.events, ["unusable", "200 content-length 2 more", "end"]);
});
