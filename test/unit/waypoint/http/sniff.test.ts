import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import fc from "fast-check";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { joinPorts, portOf } from "../../../../src/shared/hbone/flow.ts";
import {
  defaultSniffTimeoutMs,
  type SniffPlan,
  sniffCodec,
  sniffProtocol,
} from "../../../../src/waypoint/http/sniff.ts";
import { type HttpLook, HttpLooker } from "../../../../src/waypoint/http/sniff-http.ts";
import { lookForTls } from "../../../../src/waypoint/http/sniff-tls.ts";
import { openingOf, openTransport } from "../../../../src/waypoint/http/transport.ts";
import { FakeClock } from "../../../support/clock.ts";
import { socketPair } from "../../../support/hbone.ts";

const both: SniffPlan = {
  http: true,
  tls: true,
  timeoutMs: defaultSniffTimeoutMs,
  onTimeout: "close",
};

function look(text: string): HttpLook {
  const bytes = Buffer.from(`...${text}`, "latin1");
  return new HttpLooker().look(bytes, 3, bytes.length);
}

const lines: readonly (readonly [string, HttpLook])[] = [
  ["GET / HTTP/1.1\r\n", "http/1.1"],
  ["GET /a?b=c HTTP/1.1\nHost: x\r\n", "http/1.1"],
  ["PURGE /x HTTP/1.0\r\n", "http/1.0"],
  ["OPTIONS * HTTP/1.1\r\n", "http/1.1"],
  ["GET http://a.example/ HTTP/1.1\r\n", "http/1.1"],
  ["CONNECT 10.0.0.1:80 HTTP/1.1\r\n", "http/1.1"],
  ["GET /\r\n", "http/1.0"],
  ["GET / HTTP/2.0\r\n", "http/1.0"],
  ["GET / x HTTP/1.1\r\n", "http/1.1"],
  ["GET  /  HTTP/1.1\r\n", "http/1.1"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "h2c"],
  ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "http/1.0"],
  ["PRI", "more"],
  ["G", "more"],
  ["GET /very/long", "more"],
  ["GET http:/", "more"],
  ["\r\nGET / HTTP/1.1\r\n", "other"],
  ["get key\r\n", "other"],
  ["SET a b c\r\n", "other"],
  ["PING\r\n", "other"],
  ["*1\r\n$4\r\nPING\r\n", "other"],
  ["SSH-2.0-OpenSSH_9.6\r\n", "other"],
  ["EHLO mail.example\r\n", "other"],
  ["USER anonymous\r\n", "other"],
  ["GET / HTTQ/1.1\r\n", "other"],
  ["GET / HTTP/11\r\n", "other"],
  ["\x16\x03\x01\x02", "other"],
  ["\0\0\0\x08\x04\xd2\x16\x2f", "other"],
  ["GET /\0", "other"],
  [" GET", "other"],
];

describe("what a connection begins like", () => {
  for (const [text, expected] of lines) {
    test(`${JSON.stringify(text)} is ${expected}`, () => assert.equal(look(text), expected));
  }

  test("pieces do not matter", () => {
    const texts = fc.oneof(
      fc.constantFrom(...lines.map(([text]) => text)),
      fc.string({ unit: fc.constantFrom("G", "/", " ", "\r", "\n", ":", "1", "\0", "P", "H") }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const bytes = Buffer.from(text, "latin1");
        const looker = new HttpLooker();
        let found: HttpLook = "more";
        for (let end = 1; end <= bytes.length && found === "more"; end++)
          found = looker.look(bytes, 0, end);
        assert.equal(found, bytes.length === 0 ? "more" : look(text));
      }),
    );
  });
});

/** The first octets that a TLS client of Node sends. */
async function helloOf(options: {
  servername?: string;
  ALPNProtocols?: string[];
}): Promise<Buffer> {
  const { near, far } = await socketPair();
  const client = tlsConnect({ socket: far, ...options, rejectUnauthorized: false });
  client.on("error", () => undefined);
  near.resume();
  const [bytes] = (await once(near, "data")) as [Buffer];
  near.destroy();
  client.destroy();
  return bytes;
}

describe("a ClientHello", () => {
  test("names server and protocols, in any pieces and records", async () => {
    const hello = await helloOf({ servername: "Shop.Example", ALPNProtocols: ["h2", "http/1.1"] });
    const expected = { serverName: "shop.example", protocols: ["h2", "http/1.1"] };
    assert.deepEqual(lookForTls(hello, 0, hello.length), expected);
    for (let end = 0; end < hello.length; end++) assert.equal(lookForTls(hello, 0, end), "more");
    const message = hello.subarray(5);
    const records: Buffer[] = [];
    for (let at = 0; at < message.length; at += 100) {
      const part = message.subarray(at, at + 100);
      records.push(Buffer.from([22, 3, 1, 0, part.length]), part);
    }
    const split = Buffer.concat(records);
    assert.deepEqual(lookForTls(split, 0, split.length), expected);
  });

  test("without a name, and what is none", async () => {
    const hello = await helloOf({});
    assert.deepEqual(lookForTls(hello, 0, hello.length), { serverName: undefined, protocols: [] });
    const noise = [
      [21, 3, 3],
      [22, 2],
      [22, 3, 1, 0, 0],
      [22, 3, 1, 0, 4, 2],
      [22, 3, 1, 255, 255],
    ];
    for (const bytes of noise)
      assert.equal(lookForTls(Buffer.from(bytes), 0, bytes.length), "other", String(bytes));
    hello.fill(255, 60, 90);
    assert.ok(lookForTls(hello, 0, hello.length) === "other" || hello.length > 0);
  });

  test("no octets crash it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (tail) => {
        const body = Buffer.from([1, 0, 0, tail.length, ...tail]);
        const bytes = Buffer.from([22, 3, 1, 0, body.length, ...body]);
        lookForTls(bytes, 0, bytes.length);
      }),
    );
  });
});

function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (piece: string) => {
      text += piece;
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
    socket.on("end", () => resolve(text));
  });
}

describe("a sniffed connection", { timeout: 10_000 }, () => {
  test("goes on to a codec with everything that came", async () => {
    const { near, far } = await socketPair();
    const sniffing = sniffProtocol(openingOf(near), both, systemClock);
    far.write("GET ");
    await new Promise((resolve) => setTimeout(resolve, 10));
    far.write("/ HTTP/1.1\r\nHost");
    const sniffed = await sniffing;
    assert.equal(sniffed.kind, "looked");
    if (sniffed.kind !== "looked") return;
    assert.equal(sniffed.http, "http/1.1");
    far.end(": a\r\n\r\n");
    let text = "";
    await new Promise<void>((resolve) => {
      const transport = openTransport(sniffed.opening, systemClock);
      transport.start({
        received: (bytes, start, end) => {
          text += bytes.toString("latin1", start, end);
          return true;
        },
        ended: () => transport.close(),
        writable: () => undefined,
        closed: () => resolve(),
      });
    });
    assert.equal(text, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    far.destroy();
  });

  test("goes on to a flow with everything that came", async () => {
    const [client, server] = await Promise.all([socketPair(), socketPair()]);
    const sniffing = sniffProtocol(openingOf(client.near), both, systemClock);
    client.far.end("*1\r\n$4\r\nPING\r\n");
    const sniffed = await sniffing;
    assert.equal(sniffed.kind, "looked");
    if (sniffed.kind !== "looked") return;
    assert.deepEqual([sniffed.http, sniffed.tls], [undefined, undefined]);
    const arrived = readAll(server.far);
    const { opening } = sniffed;
    const flow = joinPorts(opening.port, portOf(server.near), opening.readBefore);
    assert.equal(await arrived, "*1\r\n$4\r\nPING\r\n");
    const answered = readAll(client.far);
    server.far.end("+PONG\r\n");
    assert.equal(await answered, "+PONG\r\n");
    assert.deepEqual(await flow.done, {});
    assert.deepEqual([flow.sent, flow.received], [14, 7]);
  });

  test("is closed when the client goes, says too little, or never ends its line", async () => {
    const gone = await socketPair();
    const first = sniffProtocol(openingOf(gone.near), both, systemClock);
    gone.far.end("GET /");
    assert.deepEqual(await first, { kind: "closed", why: "client" });

    const quiet = await socketPair();
    const clock = new FakeClock();
    const second = sniffProtocol(openingOf(quiet.near), both, clock);
    const closed = readAll(quiet.far);
    await clock.advance(defaultSniffTimeoutMs);
    assert.deepEqual(await second, { kind: "closed", why: "timeout" });
    assert.equal(await closed, "");

    const endless = await socketPair();
    const third = sniffProtocol(openingOf(endless.near), both, systemClock);
    endless.far.on("error", () => undefined);
    endless.far.write(`GET /${"a".repeat(70_000)}`);
    assert.deepEqual(await third, { kind: "closed", why: "too-long" });
    endless.far.destroy();
  });

  test("goes on as TCP after the deadline where the configuration says so", async () => {
    const { near, far } = await socketPair();
    const clock = new FakeClock();
    const plan: SniffPlan = { ...both, onTimeout: "continue" };
    const sniffing = sniffProtocol(openingOf(near), plan, clock);
    await clock.advance(defaultSniffTimeoutMs);
    const sniffed = await sniffing;
    assert.equal(sniffed.kind === "looked" && sniffed.http, undefined);
    near.destroy();
    far.destroy();
  });

  test("may be sniffed again: TLS was looked for first, then the codec", async () => {
    const { near, far } = await socketPair();
    far.write("PRI * HTTP/2.0\r\n");
    const first = await sniffProtocol(openingOf(near), { ...both, http: false }, systemClock);
    assert.equal(first.kind, "looked");
    if (first.kind !== "looked") return;
    const choosing = sniffCodec(first.opening, systemClock);
    far.write("\r\nSM\r\n\r\nand more");
    const chosen = await choosing;
    if (chosen.kind !== "http2") throw new Error(`chosen: ${chosen.kind}`);
    const bytes = chosen.opening.readBefore?.bytes.subarray(9).toString() ?? "";
    assert.ok(bytes.startsWith("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    near.destroy();
    far.destroy();
  });

  test("tells which codec it needs", async () => {
    for (const [text, kind] of [
      ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"],
      ["POST / HTTP/1.1\r\n", "http1"],
    ]) {
      const { near, far } = await socketPair();
      const choosing = sniffCodec(openingOf(near), systemClock);
      far.write(text?.slice(0, 2) ?? "");
      await new Promise((resolve) => setTimeout(resolve, 5));
      far.write(text?.slice(2) ?? "");
      assert.equal((await choosing).kind, kind);
      near.destroy();
      far.destroy();
    }
  });
});
