/** Raw octets to a live server and a live client: each mistake is answered with the code of RFC 9113, and only where it belongs. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { openHboneClient } from "../../../../src/shared/hbone/client.ts";
import { serveHbone } from "../../../../src/shared/hbone/server.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import { defaultHboneSettings, type TunnelAnswer } from "../../../../src/shared/hbone/tunnel.ts";
import { carriers } from "../../../support/carriers.ts";
import {
  connectBlock,
  neverAborts,
  RawPeer,
  rawBlock,
  rawFrame,
  rawPreface,
} from "../../../support/hbone.ts";

const code = {
  none: 0,
  protocol: 1,
  flowControl: 3,
  closed: 5,
  frameSize: 6,
  refused: 7,
  compression: 9,
  calm: 11,
};
const settings = rawFrame(4, 0, 0);
const hello = Buffer.concat([rawPreface, settings]);
const open = (id: number, flags = 0x4): Buffer => rawFrame(1, flags, id, connectBlock);
const data = (id: number, flags: number, bytes: number): Buffer =>
  rawFrame(0, flags, id, Buffer.alloc(bytes));
const block = (...fields: [string, string][]): Buffer => rawFrame(1, 0x4, 1, rawBlock(fields));
const many = (count: number, frame: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => frame(index)));
const connect: [string, string][] = [
  [":method", "CONNECT"],
  [":authority", "a:1"],
];

/** What a client sends after its preface, and the code of the GOAWAY that follows. */
const fatal: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
  ["DATA on stream 0", data(0, 0, 1), code.protocol],
  ["DATA on an idle stream", data(1, 0, 1), code.protocol],
  [
    "DATA with more padding than frame",
    Buffer.concat([open(1), rawFrame(0, 8, 1, "05aa")]),
    code.protocol,
  ],
  ["DATA padded but empty", Buffer.concat([open(1), rawFrame(0, 8, 1)]), code.frameSize],
  ["frame larger than announced", Buffer.from("100001000000000001", "hex"), code.frameSize],
  ["HEADERS on stream 0", open(0), code.protocol],
  ["HEADERS on an even stream", open(2), code.protocol],
  ["HEADERS with a lower stream id", Buffer.concat([open(5), open(3)]), code.protocol],
  ["HEADERS with too much padding", rawFrame(1, 0xc, 1, "ff00"), code.protocol],
  ["HEADERS shorter than its priority", rawFrame(1, 0x24, 1, "0000"), code.frameSize],
  ["HEADERS interrupted by DATA", Buffer.concat([open(1, 0), data(1, 0, 1)]), code.protocol],
  [
    "HEADERS interrupted by an unknown frame",
    Buffer.concat([open(1, 0), rawFrame(0x77, 0, 1)]),
    code.protocol,
  ],
  ["CONTINUATION of another stream", Buffer.concat([open(1, 0), rawFrame(9, 4, 3)]), code.protocol],
  ["CONTINUATION without HEADERS", rawFrame(9, 4, 1), code.protocol],
  [
    "CONTINUATION flood",
    Buffer.concat([open(1, 0), many(100, () => rawFrame(9, 0, 1))]),
    code.calm,
  ],
  [
    "header block too large",
    Buffer.concat([open(1, 0), many(9, () => rawFrame(9, 0, 1, Buffer.alloc(16_000)))]),
    code.calm,
  ],
  ["HPACK: no such entry", rawFrame(1, 4, 1, "ff00"), code.compression],
  ["HPACK: index 0", rawFrame(1, 4, 1, "80"), code.compression],
  ["HPACK: table larger than announced", rawFrame(1, 4, 1, "3fe2ff7f"), code.compression],
  ["HPACK: table update after a field", rawFrame(1, 4, 1, "8220"), code.compression],
  ["HPACK: text beyond the block", rawFrame(1, 4, 1, "007f"), code.compression],
  ["HPACK: bad Huffman padding", rawFrame(1, 4, 1, "0081000161"), code.compression],
  ["PRIORITY on stream 0", rawFrame(2, 0, 0, "0000000000"), code.protocol],
  ["PRIORITY of four octets", rawFrame(2, 0, 1, "00000000"), code.frameSize],
  ["RST_STREAM on stream 0", rawFrame(3, 0, 0, "00000008"), code.protocol],
  ["RST_STREAM on an idle stream", rawFrame(3, 0, 1, "00000008"), code.protocol],
  [
    "RST_STREAM of three octets",
    Buffer.concat([open(1), rawFrame(3, 0, 1, "000008")]),
    code.frameSize,
  ],
  ["SETTINGS on a stream", rawFrame(4, 0, 1), code.protocol],
  ["SETTINGS ACK with a payload", rawFrame(4, 1, 0, "000100001000"), code.frameSize],
  ["SETTINGS of five octets", rawFrame(4, 0, 0, "0001000010"), code.frameSize],
  ["SETTINGS: ENABLE_PUSH of 2", rawFrame(4, 0, 0, "000200000002"), code.protocol],
  ["SETTINGS: window too large", rawFrame(4, 0, 0, "000480000000"), code.flowControl],
  ["SETTINGS: frame too small", rawFrame(4, 0, 0, "000500003fff"), code.protocol],
  ["SETTINGS: frame too large", rawFrame(4, 0, 0, "000501000000"), code.protocol],
  [
    "SETTINGS: initial window overflows a stream",
    Buffer.concat([open(1), rawFrame(8, 0, 1, "7fff0000"), rawFrame(4, 0, 0, "00047fffffff")]),
    code.flowControl,
  ],
  ["SETTINGS flood", many(200, () => rawFrame(4, 0, 0)), code.calm],
  ["PUSH_PROMISE", rawFrame(5, 4, 1, "00000002"), code.protocol],
  ["PING on a stream", rawFrame(6, 0, 1, "0000000000000000"), code.protocol],
  ["PING of six octets", rawFrame(6, 0, 0, "000000000000"), code.frameSize],
  ["PING flood", many(3000, () => rawFrame(6, 0, 0, "0000000000000000")), code.calm],
  ["GOAWAY on a stream", rawFrame(7, 0, 1, "0000000000000000"), code.protocol],
  ["GOAWAY of four octets", rawFrame(7, 0, 0, "00000000"), code.frameSize],
  ["WINDOW_UPDATE of three octets", rawFrame(8, 0, 0, "000001"), code.frameSize],
  ["WINDOW_UPDATE of 0 on the session", rawFrame(8, 0, 0, "00000000"), code.protocol],
  [
    "WINDOW_UPDATE beyond the maximum on the session",
    many(2, () => rawFrame(8, 0, 0, "7fffffff")),
    code.flowControl,
  ],
  ["WINDOW_UPDATE on an idle stream", rawFrame(8, 0, 1, "00000001"), code.protocol],
  ["empty DATA flood", Buffer.concat([open(1), many(2000, () => data(1, 0, 0))]), code.calm],
  ["PRIORITY flood", many(8000, () => rawFrame(2, 0, 1, "0000000000")), code.calm],
  [
    "early reset flood",
    many(8000, (index) =>
      Buffer.concat([open(index * 2 + 1), rawFrame(3, 0, index * 2 + 1, "00000008")]),
    ),
    code.calm,
  ],
];

/** What a client sends, and the code of the RST_STREAM on stream 1; the session and its other stream live on. */
const local: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
  ["CONNECT with :scheme", block(...connect, [":scheme", "https"]), code.protocol],
  ["CONNECT with :path", block(...connect, [":path", "/"]), code.protocol],
  ["CONNECT with :protocol", block(...connect, [":protocol", "websocket"]), code.protocol],
  ["CONNECT without :authority", block([":method", "CONNECT"]), code.protocol],
  [
    "CONNECT with an empty :authority",
    block([":method", "CONNECT"], [":authority", ""]),
    code.protocol,
  ],
  [":authority twice", block(...connect, [":authority", "b:1"]), code.protocol],
  ["no :method", block([":authority", "a:1"]), code.protocol],
  [
    "GET without :path",
    block([":method", "GET"], [":scheme", "https"], [":authority", "a"]),
    code.protocol,
  ],
  [
    "pseudo header after a field",
    block([":method", "CONNECT"], ["a", "b"], [":authority", "a:1"]),
    code.protocol,
  ],
  [":status in a request", block(...connect, [":status", "200"]), code.protocol],
  ["upper case in a name", block(...connect, ["Forwarded", "x"]), code.protocol],
  ["space in a name", block(...connect, ["for warded", "x"]), code.protocol],
  ["empty name", block(...connect, ["", "x"]), code.protocol],
  ["line feed in a value", block(...connect, ["baggage", "a\nb"]), code.protocol],
  ["NUL in a value", block(...connect, ["baggage", "a\0b"]), code.protocol],
  ["space around a value", block(...connect, ["baggage", " a"]), code.protocol],
  ["connection field", block(...connect, ["connection", "close"]), code.protocol],
  ["transfer-encoding", block(...connect, ["transfer-encoding", "chunked"]), code.protocol],
  ["te other than trailers", block(...connect, ["te", "gzip"]), code.protocol],
  ["HEADERS inside a tunnel", Buffer.concat([open(1), open(1, 0x5)]), code.protocol],
  ["WINDOW_UPDATE of 0", Buffer.concat([open(1), rawFrame(8, 0, 1, "00000000")]), code.protocol],
  [
    "WINDOW_UPDATE beyond the maximum",
    Buffer.concat([open(1), many(2, () => rawFrame(8, 0, 1, "7fffffff"))]),
    code.flowControl,
  ],
  ["DATA after END_STREAM", Buffer.concat([open(1), data(1, 1, 1), data(1, 0, 1)]), code.closed],
  [
    "DATA after RST_STREAM",
    Buffer.concat([open(1), rawFrame(3, 0, 1, "00000008"), data(1, 0, 1)]),
    code.closed,
  ],
  [
    "DATA beyond the stream window",
    Buffer.concat([open(1), many(5, () => data(1, 0, 1000))]),
    code.flowControl,
  ],
  [
    "header list too large",
    Buffer.concat([
      open(1, 0),
      many(5, () => rawFrame(9, 0, 1, rawBlock([["a", "x".repeat(15_000)]]))),
      rawFrame(9, 4, 1),
    ]),
    code.none,
  ],
];

for (const carrier of carriers)
  describe(carrier.name, () => {
    async function server(): Promise<{ peer: RawPeer; ended: Promise<void>; answered: string[] }> {
      const { ours: socket, peer: client } = await carrier.ourServer();
      const answered: string[] = [];
      const limits = { ...defaultHboneSettings("server"), streamWindowBytes: 4096 };
      const session = serveHbone(socket, limits, systemClock, (tunnel) => {
        answered.push(tunnel.authority);
        if (tunnel.authority === "answer:1") tunnel.accept([]);
      });
      return { peer: new RawPeer(client), ended: session.closed, answered };
    }

    describe("a server ends the session", () => {
      for (const [name, bytes, expected] of fatal) {
        test(name, async () => {
          const { peer, ended } = await server();
          peer.socket.write(Buffer.concat([hello, bytes]));
          assert.equal(await peer.goAwayCode(), expected);
          await ended;
          assert.equal(slabsInUse(), 0);
        });
      }

      test("no preface", async () => {
        const { peer, ended } = await server();
        peer.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert.equal(await peer.goAwayCode(), code.protocol);
        await ended;
      });

      test("first frame is not SETTINGS", async () => {
        const { peer, ended } = await server();
        peer.socket.write(Buffer.concat([rawPreface, rawFrame(6, 0, 0, "0000000000000000")]));
        assert.equal(await peer.goAwayCode(), code.protocol);
        await ended;
      });

      test("a closed stream is opened again", async () => {
        const { peer, ended } = await server();
        peer.socket.write(Buffer.concat([hello, open(1), rawFrame(3, 0, 1, "00000008"), open(1)]));
        assert.equal(await peer.goAwayCode(), code.closed);
        await ended;
      });

      test("more DATA than the session window", async () => {
        const { ours: socket, peer: client } = await carrier.ourServer();
        const base = defaultHboneSettings("server");
        const limits = { ...base, connectionWindowBytes: 65_535, streamWindowBytes: 1 << 20 };
        const session = serveHbone(socket, limits, systemClock, () => undefined);
        const peer = new RawPeer(client);
        client.write(Buffer.concat([hello, open(1), many(5, () => data(1, 0, 16_000))]));
        assert.equal(await peer.goAwayCode(), code.flowControl);
        await session.closed;
      });
    });

    describe("a server resets one stream", () => {
      for (const [name, bytes, expected] of local) {
        test(name, async () => {
          const { peer, ended, answered } = await server();
          const other = rawBlock([
            [":method", "CONNECT"],
            [":authority", "answer:1"],
          ]);
          peer.socket.write(Buffer.concat([hello, bytes, rawFrame(1, 4, 99, other)]));
          assert.equal(await peer.resetCode(1), expected);
          // The session has not suffered.
          const answer = await peer.find((frame) => frame.type === 1 && frame.streamId === 99);
          assert.equal(answer.flags & 0x4, 0x4);
          assert.ok(answered.includes("answer:1"));
          peer.socket.destroy();
          await ended;
          assert.equal(slabsInUse(), 0);
        });
      }

      test("streams beyond the limit, requests that were reset early included", async () => {
        const { peer, ended } = await server();
        const cycle = (index: number): Buffer =>
          Buffer.concat([open(index * 2 + 1), rawFrame(3, 0, index * 2 + 1, "00000008")]);
        peer.socket.write(Buffer.concat([hello, many(200, cycle), open(401)]));
        assert.equal(await peer.resetCode(401), code.refused);
        peer.socket.destroy();
        await ended;
      });

      test("the rest of a frame whose stream is reset meanwhile is given back", async () => {
        const { ours: socket, peer: client } = await carrier.ourServer();
        const limits = { ...defaultHboneSettings("server"), connectionWindowBytes: 65_535 };
        let reset = (): void => undefined;
        const session = serveHbone(socket, limits, systemClock, (tunnel) => {
          const stream = tunnel.accept([]);
          reset = () => stream.reset(8);
        });
        const peer = new RawPeer(client);
        const frame = data(1, 0, 60_000);
        client.write(Buffer.concat([hello, open(1), frame.subarray(0, 20_000)]));
        await peer.find((found) => found.type === 1);
        reset();
        await peer.resetCode(1);
        client.write(
          Buffer.concat([frame.subarray(20_000), rawFrame(6, 0, 0, "0000000000000000")]),
        );
        await peer.find((found) => found.type === 6);
        const returned = peer.frames
          .filter((found) => found.type === 8 && found.streamId === 0)
          .reduce((sum, found) => sum + found.payload.readUInt32BE(0), 0);
        // Portions of half a window: without the rest of the frame nothing would have come.
        assert.ok(returned >= 32_768, `${returned} octets returned`);
        client.destroy();
        await session.closed;
      });

      test("padding and the payload of dead streams do not eat the session window", async () => {
        const { peer, ended } = await server();
        const padded = rawFrame(0, 8, 1, Buffer.concat([Buffer.from([200]), Buffer.alloc(200)]));
        peer.socket.write(Buffer.concat([hello, open(1), many(15, () => padded)]));
        // 15 * 201 octets of padding: half of the stream window comes back.
        await peer.find((frame) => frame.type === 8 && frame.streamId === 1);
        peer.socket.destroy();
        await ended;
      });
    });

    /** A client of ours whose request waits for what a hand-written server answers. */
    async function askRawServer() {
      const { ours: client, peer: socket } = await carrier.ourClient();
      const peer = new RawPeer(socket, rawPreface.length);
      socket.write(settings);
      const session = await openHboneClient(client, defaultHboneSettings("client"), systemClock);
      const answer = session.connect({ authority: "a:1", headers: [] }, neverAborts);
      answer.catch(() => undefined);
      await peer.find((frame) => frame.type === 1);
      return { socket, peer, session, answer };
    }

    describe("a client ends the session", () => {
      const cases: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
        ["PUSH_PROMISE", rawFrame(5, 4, 1, "00000002"), code.protocol],
        ["HEADERS on an even stream", rawFrame(1, 4, 2, "88"), code.protocol],
        ["HEADERS on a stream nobody opened", rawFrame(1, 4, 77, "88"), code.protocol],
        ["DATA on a stream nobody opened", data(77, 0, 1), code.protocol],
        ["bad header block", rawFrame(1, 4, 1, "ffff"), code.compression],
      ];
      for (const [name, bytes, expected] of cases) {
        test(name, async () => {
          const { socket, peer, session, answer } = await askRawServer();
          socket.write(bytes);
          assert.equal(await peer.goAwayCode(), expected);
          await assert.rejects(answer, { code: "h2-failed" });
          await session.closed;
          assert.equal(session.usable, false);
          assert.equal(slabsInUse(), 0);
        });
      }
    });

    describe("a client fails one request", () => {
      const response = (...fields: [string, string][]): Buffer =>
        rawFrame(1, 4, 1, rawBlock(fields));
      const cases: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
        ["no :status", response(["a", "b"]), code.protocol],
        [":status of four digits", response([":status", "2000"]), code.protocol],
        [":path in a response", response([":status", "200"], [":path", "/"]), code.protocol],
        ["1xx with END_STREAM", rawFrame(1, 5, 1, rawBlock([[":status", "103"]])), code.protocol],
        [
          "header list too large",
          response([":status", "200"], ["a", "x".repeat(17_000)]),
          code.calm,
        ],
      ];
      for (const [name, bytes, expected] of cases) {
        test(name, async () => {
          const { socket, peer, session, answer } = await askRawServer();
          socket.write(bytes);
          assert.equal(await peer.resetCode(1), expected);
          await assert.rejects(answer, { code: "h2-failed" });
          assert.equal(session.usable, true);
          session.destroy(new MeshError("drained", "done"));
          await session.closed;
          socket.destroy();
        });
      }

      test("informational responses come before the answer", async () => {
        const { ours: client, peer: socket } = await carrier.ourClient();
        const peer = new RawPeer(socket, rawPreface.length);
        socket.write(settings);
        const session = await openHboneClient(client, defaultHboneSettings("client"), systemClock);
        const pending = session.connect({ authority: "a:1", headers: [] }, neverAborts);
        await peer.find((frame) => frame.type === 1);
        socket.write(Buffer.concat([response([":status", "103"]), response([":status", "200"])]));
        const answer: TunnelAnswer = await pending;
        assert.equal(answer.kind, "open");
        socket.destroy();
        await session.closed;
      });
    });
  });
