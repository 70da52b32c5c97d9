/** Raw octets to a live server: each mistake is answered with the code of RFC 9113, only where it belongs, and in bounded memory. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import type { Http2Settings } from "../../../../src/waypoint/http/http2/settings.ts";
import { dial, RawPeer, rawBlock, rawFrame, rawPreface } from "../../../support/hbone.ts";
import { type Listening, listen } from "../../../support/waypoint/http2.ts";

const code = { none: 0, protocol: 1, flow: 3, closed: 5, refused: 7, compression: 9, calm: 11 };
type Field = readonly [string, string];
const hello = Buffer.concat([rawPreface, rawFrame(4, 0, 0)]);
const base = (path: string, method = "GET"): Field[] => [
  [":method", method],
  [":scheme", "http"],
  [":path", path],
  [":authority", "shop.example"],
];
const request = (id: number, path: string, flags = 0x5, ...more: Field[]): Buffer =>
  rawFrame(1, flags, id, rawBlock([...base(path), ...more]));
const block = (...fields: Field[]): Buffer => rawFrame(1, 0x5, 1, rawBlock(fields));
const data = (id: number, flags: number, bytes: number): Buffer =>
  rawFrame(0, flags, id, Buffer.alloc(bytes));
const many = (count: number, frame: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => frame(index)));

async function stage(
  settings: Partial<Http2Settings> = {},
): Promise<Listening & { peer: RawPeer }> {
  const listening = await listen(settings);
  const peer = new RawPeer(await dial(listening.port));
  peer.socket.write(hello);
  return { ...listening, peer };
}

async function end({ peer, close }: { peer: RawPeer; close(): Promise<void> }): Promise<void> {
  peer.socket.destroy();
  await close();
  assert.equal(slabsInUse(), 0);
}

const reset = (id: number): Buffer => rawFrame(3, 0, id, "00000008");

/** What a client sends, and the code of the RST_STREAM on stream 1; the stream beside it is answered. */
const local: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
  ["no :path", block(...base("/").slice(0, 2), [":authority", "a"]), code.protocol],
  [":path with CR LF", block(...base("/a\r\nx: y")), code.protocol],
  [":path without a slash", block(...base("a")), code.protocol],
  ["a value with CR LF", block(...base("/"), ["a", "b\r\nc: d"]), code.protocol],
  ["a value with NUL", block(...base("/"), ["a", "b\0"]), code.protocol],
  ["host beside another :authority", block(...base("/"), ["host", "b"]), code.protocol],
  ["transfer-encoding", block(...base("/"), ["transfer-encoding", "chunked"]), code.protocol],
  ["connection", block(...base("/"), ["connection", "x"]), code.protocol],
  [
    "two content-lengths",
    block(...base("/"), ["content-length", "0"], ["content-length", "0"]),
    code.protocol,
  ],
  ["content-length without DATA", block(...base("/"), ["content-length", "4"]), code.protocol],
  [
    "less DATA than content-length",
    Buffer.concat([request(1, "/hold", 0x4, ["content-length", "9"]), data(1, 1, 8)]),
    code.protocol,
  ],
  [
    "more DATA than content-length",
    Buffer.concat([request(1, "/hold", 0x4, ["content-length", "9"]), data(1, 0, 10)]),
    code.protocol,
  ],
  [
    "trailers before all of content-length",
    Buffer.concat([
      request(1, "/hold", 0x4, ["content-length", "9"]),
      data(1, 0, 8),
      rawFrame(1, 0x5, 1, rawBlock([["a", "b"]])),
    ]),
    code.protocol,
  ],
  [
    "trailers with a pseudo header",
    Buffer.concat([request(1, "/hold", 0x4), rawFrame(1, 0x5, 1, rawBlock([[":path", "/"]]))]),
    code.protocol,
  ],
  [
    "trailers without an end",
    Buffer.concat([request(1, "/hold", 0x4), rawFrame(1, 0x4, 1, rawBlock([["a", "b"]]))]),
    code.protocol,
  ],
  [
    "extended CONNECT that was not announced",
    block(...base("/", "CONNECT"), [":protocol", "websocket"]),
    code.protocol,
  ],
  ["CONNECT with :path", block(...base("/", "CONNECT")), code.protocol],
  ["DATA after END_STREAM", Buffer.concat([request(1, "/hold"), data(1, 0, 1)]), code.closed],
  [
    "DATA beyond the stream window",
    Buffer.concat([request(1, "/hold", 0x4), many(5, () => data(1, 0, 16_000))]),
    code.flow,
  ],
  [
    "WINDOW_UPDATE beyond the maximum",
    Buffer.concat([request(1, "/hold"), many(2, () => rawFrame(8, 0, 1, "7fffffff"))]),
    code.flow,
  ],
];

describe("a server resets one stream, and answers the next", () => {
  for (const [name, bytes, expected] of local) {
    test(name, async () => {
      const it = await stage({ streamWindowBytes: 65_535 });
      // Readers that stall keep the window closed.
      it.app.wants = false;
      it.peer.socket.write(Buffer.concat([bytes, request(99, "/hi")]));
      assert.equal(await it.peer.resetCode(1), expected);
      await it.peer.find((frame) => frame.streamId === 99 && (frame.flags & 1) === 1);
      const first = it.app.seen.find(({ head }) => head.path === "/hold");
      if (first !== undefined) assert.equal(first.reset?.kind, "protocol-error");
      await end(it);
    });
  }

  test("malformed requests are reported", async () => {
    const it = await stage();
    it.peer.socket.write(block(...base("a")));
    await it.peer.resetCode(1);
    const [refused] = it.app.refused;
    assert.deepEqual(
      [refused?.protocol, refused?.flags, refused?.details],
      ["HTTP/2", ["DPE"], "http2.violation.of.messaging.rule"],
    );
    await end(it);
  });

  test("too many fields, and too large a list, are 431", async () => {
    const it = await stage({ maxHeadBytes: 20_000 });
    const fields = Array.from({ length: 101 }, (_, index): Field => [`f${index}`, "x"]);
    it.peer.socket.write(request(1, "/", 0x5, ...fields));
    it.peer.socket.write(request(3, "/", 0x5, ["a", "x".repeat(16_000)], ["b", "x".repeat(200)]));
    const large = rawBlock([...base("/"), ["a", "x".repeat(15_000)]]);
    it.peer.socket.write(rawFrame(1, 0x1, 5, large));
    it.peer.socket.write(rawFrame(9, 0x4, 5, rawBlock([["b", "x".repeat(15_000)]])));
    it.peer.socket.write(request(7, "/hi"));
    assert.equal(await it.peer.resetCode(1), code.none);
    assert.equal(await it.peer.resetCode(5), code.none);
    await it.peer.find((frame) => frame.streamId === 7 && (frame.flags & 1) === 1);
    assert.deepEqual(
      it.app.refused.map(({ status, details }) => [status, details]),
      [
        [431, "http2.too_many_headers"],
        [431, "http2.headers_too_large"],
      ],
    );
    await end(it);
  });

  test("streams beyond the limit are refused", async () => {
    const it = await stage({ maxConcurrentStreams: 2 });
    it.peer.socket.write(Buffer.concat([1, 3, 5].map((id) => request(id, "/hold"))));
    assert.equal(await it.peer.resetCode(5), code.refused);
    it.peer.socket.write(Buffer.concat([reset(1), request(7, "/hi")]));
    await it.peer.find((frame) => frame.streamId === 7 && (frame.flags & 1) === 1);
    assert.equal(it.app.seen[0]?.reset?.kind, "remote-reset");
    await end(it);
  });
});

describe("a server ends the connection", () => {
  const fatal: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
    [
      "rapid reset",
      many(8000, (index) => Buffer.concat([request(index * 2 + 1, "/hold"), reset(index * 2 + 1)])),
      code.calm,
    ],
    [
      "resets that it is made to send",
      many(8000, (index) => rawFrame(1, 5, index * 2 + 1, rawBlock(base("a")))),
      code.calm,
    ],
    [
      "CONTINUATION flood",
      Buffer.concat([request(1, "/", 0x1), many(100, () => rawFrame(9, 0, 1))]),
      code.calm,
    ],
    ["HPACK bomb of a broken table", rawFrame(1, 4, 1, "3fe2ff7f"), code.compression],
    ["PING flood", many(3000, () => rawFrame(6, 0, 0, "0000000000000000")), code.calm],
    ["SETTINGS flood", many(200, () => rawFrame(4, 0, 0)), code.calm],
    [
      "empty DATA flood",
      Buffer.concat([request(1, "/hold", 0x4), many(2000, () => data(1, 0, 0))]),
      code.calm,
    ],
    ["PRIORITY flood", many(8000, () => rawFrame(2, 0, 1, "0000000000")), code.calm],
    ["DATA on an idle stream", data(1, 0, 1), code.protocol],
    ["a lower stream id", Buffer.concat([request(5, "/hold"), request(3, "/")]), code.protocol],
    [
      "a window that overflows all streams",
      Buffer.concat([
        request(1, "/hold"),
        rawFrame(8, 0, 1, "7fff0000"),
        rawFrame(4, 0, 0, "00047fffffff"),
      ]),
      code.flow,
    ],
  ];
  for (const [name, bytes, expected] of fatal) {
    test(name, async () => {
      const it = await stage();
      it.peer.socket.write(bytes);
      assert.equal(await it.peer.goAwayCode(), expected);
      await it.servers[0]?.closed;
      for (const seen of it.app.seen) assert.ok(seen.reset !== undefined || seen.ended);
      await end(it);
    });
  }

  test("a head that never ends, when its time is over", async () => {
    const it = await stage({ requestHeadersTimeoutMs: 50 });
    it.peer.socket.write(Buffer.concat([request(1, "/hold"), request(3, "/hi", 0x1)]));
    assert.equal(await it.peer.goAwayCode(), code.calm);
    assert.equal(it.app.seen[0]?.reset?.kind, "connection-lost");
    await end(it);
  });

  test("idle and old connections are left in order", async () => {
    const idle = await stage({ connectionIdleTimeoutMs: 30 });
    assert.equal(await idle.peer.goAwayCode(), code.none);
    await end(idle);
    const old = await stage({ maxConnectionDurationMs: 30 });
    old.peer.socket.write(request(1, "/hold"));
    const first = await old.peer.find((frame) => frame.type === 7);
    assert.equal(first.payload.readUInt32BE(0), 2 ** 31 - 1);
    const ping = await old.peer.find((frame) => frame.type === 6);
    old.peer.socket.write(Buffer.concat([request(3, "/hi"), rawFrame(6, 1, 0, ping.payload)]));
    await old.peer.find((frame) => frame.streamId === 3 && (frame.flags & 1) === 1);
    const second = await old.peer.find(
      (frame) => frame.type === 7 && frame.payload.readUInt32BE(0) === 3,
    );
    assert.equal(second.payload.readUInt32BE(4), code.none);
    old.peer.socket.write(reset(1));
    await old.servers[0]?.closed;
    await end(old);
  });

  test("a header bomb is decoded without being kept", async () => {
    const it = await stage();
    // One entry of 4000 octets, then 4000 references to it: 16 MB of fields in 8 KB.
    const entry = Buffer.concat([
      Buffer.from([0x40]),
      rawBlock([["a", "x".repeat(3900)]]).subarray(1),
    ]);
    const bomb = Buffer.concat([rawBlock(base("/")), entry, Buffer.alloc(8000, 0xbe)]);
    const before = process.memoryUsage().heapUsed;
    it.peer.socket.write(Buffer.concat([rawFrame(1, 5, 1, bomb), request(3, "/hi")]));
    await it.peer.find((frame) => frame.streamId === 3 && (frame.flags & 1) === 1);
    assert.equal(it.app.refused[0]?.status, 431);
    assert.ok(process.memoryUsage().heapUsed - before < 16 * 1024 * 1024);
    await end(it);
  });

  test("a peer that asks and never reads is cut off", { timeout: 20_000 }, async () => {
    const it = await stage();
    it.peer.socket.pause();
    it.peer.socket.on("error", () => undefined);
    let id = 1;
    let isOver = false;
    const closed = it.servers[0]?.closed.then(() => {
      isOver = true;
    });
    while (!isOver) {
      // Heads of answers are not under flow control.
      const asks = many(500, () => {
        id += 2;
        return request(id, "/echo", 0x5, ["x-pad", "y".repeat(4000)]);
      });
      it.peer.socket.write(asks);
      await delay(5);
      assert.ok(id < 400_000, "still open");
    }
    await closed;
    await end(it);
  });
});

describe("windows and stalls", () => {
  test("a stalled reader stops its own stream only, and what waits is one window", async () => {
    const it = await stage({ streamWindowBytes: 65_535 });
    it.app.wants = false;
    it.peer.socket.write(
      Buffer.concat([request(1, "/hold", 0x4), many(4, () => data(1, 0, 16_000))]),
    );
    it.peer.socket.write(Buffer.concat([request(3, "/hi"), rawFrame(6, 0, 0, "0102030405060708")]));
    await it.peer.find((frame) => frame.streamId === 3 && (frame.flags & 1) === 1);
    await it.peer.find((frame) => frame.type === 6 && frame.flags === 1);
    assert.equal(it.app.seen[0]?.bodyBytes, 16_000);
    assert.ok(!it.peer.frames.some((frame) => frame.type === 8 && frame.streamId === 1));
    it.app.seen[0]?.stream.resume();
    it.app.wants = true;
    it.app.seen[0]?.stream.resume();
    await it.peer.find((frame) => frame.type === 8 && frame.streamId === 1);
    assert.equal(it.app.seen[0]?.bodyBytes, 64_000);
    await end(it);
  });

  test("a client that gives no window gets nothing and costs a bounded queue", async () => {
    const it = await stage();
    it.peer.socket.write(rawFrame(4, 0, 0, "000400000000"));
    it.peer.socket.write(Buffer.concat([request(1, "/bytes/100000000"), request(3, "/echo")]));
    await it.peer.find((frame) => frame.streamId === 3 && (frame.flags & 1) === 1);
    await delay(20);
    assert.ok(!it.peer.frames.some((frame) => frame.type === 0 && frame.streamId === 1));
    // Held back after the first blocks, not after a hundred megabytes.
    assert.equal(it.app.seen[0]?.writableCalls, 1);
    it.peer.socket.write(rawFrame(8, 0, 1, "00000005"));
    const first = await it.peer.find((frame) => frame.type === 0 && frame.streamId === 1);
    assert.equal(first.payload.length, 5);
    // RFC 9113 section 6.9.2: the window goes below zero.
    it.peer.socket.write(rawFrame(4, 0, 0, "000400000064"));
    await it.peer.find((frame) => frame.type === 0 && frame.payload.length === 100);
    await end(it);
  });

  test("streams take turns", async () => {
    const it = await stage();
    const ids = [1, 3, 5, 7];
    // A window for all, so that the order is the scheduler's alone: first the connection's is opened wide.
    it.peer.socket.write(rawFrame(4, 0, 0, "000400000000"));
    it.peer.socket.write(Buffer.concat(ids.map((id) => request(id, "/bytes/65536"))));
    await it.peer.find((frame) => frame.type === 1 && frame.streamId === 7);
    it.peer.socket.write(rawFrame(8, 0, 0, "00100000"));
    it.peer.socket.write(rawFrame(4, 0, 0, "000400010000"));
    for (const id of ids)
      await it.peer.find(
        (frame) => frame.type === 0 && frame.streamId === id && (frame.flags & 1) === 1,
      );
    const order = it.peer.frames.filter((frame) => frame.type === 0).map((frame) => frame.streamId);
    assert.deepEqual(order.slice(0, 8), [1, 3, 5, 7, 1, 3, 5, 7]);
    await end(it);
  });
});
