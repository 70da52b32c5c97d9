/** A hand-written server answers our client: mistakes end where they belong, and each request learns why and whether it may be sent again. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import type { BodyWriter } from "../../../../src/waypoint/http/stream.ts";
import { openingOf, openTransport } from "../../../../src/waypoint/http/transport.ts";
import { FakeClock } from "../../../support/clock.ts";
import { dial, portOf, RawPeer, rawBlock, rawFrame, rawPreface } from "../../../support/hbone.ts";
import { Answer, type ClientStage, dialOver, requestOf } from "../../../support/waypoint/http2.ts";

const settings = rawFrame(4, 0, 0);
const ok = (id: number, flags = 0x4, ...more: [string, string][]): Buffer =>
  rawFrame(1, flags, id, rawBlock([[":status", "200"], ...more]));
const data = (id: number, flags: number, text: string): Buffer =>
  rawFrame(0, flags, id, Buffer.from(text));
const goAway = (last: number, code = 0): Buffer =>
  rawFrame(7, 0, 0, Buffer.from([0, 0, 0, last, 0, 0, 0, code]));
const reset = (id: number, code: number): Buffer =>
  rawFrame(3, 0, id, Buffer.from([0, 0, 0, code]));

interface Stage extends ClientStage {
  readonly peer: RawPeer;
  readonly socket: Socket;
  ask(path?: string, endStream?: boolean): { answer: Answer; writer: BodyWriter };
  end(): Promise<void>;
}

async function stage(clock = systemClock, pingIntervalMs = 0): Promise<Stage> {
  const listener = createServer({ noDelay: true });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const accepted = once(listener, "connection");
  const near = await dial(portOf(listener));
  const [socket] = (await accepted) as [Socket];
  listener.close();
  const peer = new RawPeer(socket, rawPreface.length);
  const dialed = dialOver(openTransport(openingOf(near), clock), { pingIntervalMs }, clock);
  return {
    ...dialed,
    peer,
    socket,
    ask: (path = "/", endStream = true) => {
      const answer = new Answer();
      return { answer, writer: dialed.client.open(requestOf(path), endStream, answer) };
    },
    end: async () => {
      socket.destroy();
      await dialed.client.closed;
      assert.equal(slabsInUse(), 0);
    },
  };
}

describe("an answer that breaks the rules", () => {
  const bad: Readonly<Record<string, Buffer>> = {
    "no :status": rawFrame(1, 4, 1, rawBlock([["a", "b"]])),
    "status 101": rawFrame(1, 4, 1, rawBlock([[":status", "101"]])),
    "only a 1xx": rawFrame(1, 5, 1, rawBlock([[":status", "103"]])),
    "connection field": ok(1, 4, ["connection", "close"]),
    "a value with CR LF": ok(1, 4, ["a", "b\r\nc: d"]),
    "DATA before HEADERS": data(1, 0, "early"),
    "more DATA than content-length": Buffer.concat([
      ok(1, 4, ["content-length", "2"]),
      data(1, 1, "abc"),
    ]),
    "less DATA than content-length": Buffer.concat([
      ok(1, 4, ["content-length", "4"]),
      data(1, 1, "abc"),
    ]),
    "content-length without DATA": ok(1, 5, ["content-length", "4"]),
    "trailers without an end": Buffer.concat([ok(1), rawFrame(1, 4, 1, rawBlock([["a", "b"]]))]),
    "too large a list": Buffer.concat([
      rawFrame(1, 0, 1, rawBlock([[":status", "200"]])),
      ...Array.from({ length: 5 }, () => rawFrame(9, 0, 1, rawBlock([["a", "x".repeat(15_000)]]))),
      rawFrame(9, 4, 1),
    ]),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    test(name, async () => {
      const it = await stage();
      const first = it.ask();
      const second = it.ask("/second");
      it.socket.write(Buffer.concat([settings, bytes, ok(3, 0x5)]));
      await Promise.all([first.answer.done, second.answer.done]);
      assert.equal(first.answer.failure?.kind, "protocol-error");
      assert.equal(second.answer.response?.status, 200);
      await it.peer.resetCode(1);
      assert.equal(it.client.activeRequests, 0);
      await it.end();
    });
  }

  test("PUSH_PROMISE, and what is not HTTP/2, end the connection", async () => {
    for (const bytes of [
      rawFrame(5, 4, 1, "00000002"),
      Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
    ]) {
      const it = await stage();
      const { answer } = it.ask();
      const isPush = bytes[3] === 5;
      it.socket.write(isPush ? Buffer.concat([settings, bytes]) : bytes);
      await answer.done;
      assert.equal(answer.failure?.kind, "protocol-error");
      assert.deepEqual(it.events, ["unusable"]);
      await it.end();
    }
  });
});

describe("a request whose server", () => {
  test("refuses it may be sent again; one that was reset may not", async () => {
    const it = await stage();
    const refused = it.ask();
    const cancelled = it.ask();
    it.socket.write(Buffer.concat([settings, reset(1, 7), reset(3, 8)]));
    await Promise.all([refused.answer.done, cancelled.answer.done]);
    assert.deepEqual(refused.answer.failure, { kind: "refused" });
    assert.deepEqual(cancelled.answer.failure, { kind: "remote-reset", http2ErrorCode: 8 });
    assert.equal(it.client.capacity, 1024);
    await it.end();
  });

  test("goes away is told which requests were not looked at", async () => {
    const it = await stage();
    const first = it.ask();
    const second = it.ask();
    it.socket.write(Buffer.concat([settings, goAway(1)]));
    await second.answer.done;
    assert.deepEqual(second.answer.failure, { kind: "refused" });
    assert.deepEqual([it.events, it.client.capacity], [["unusable"], 0]);
    it.socket.write(Buffer.concat([ok(1), data(1, 1, "still here")]));
    await first.answer.done;
    assert.equal(first.answer.text, "still here");
    await it.end();
  });

  test("vanishes learns whether the connection was used before", async () => {
    const it = await stage();
    const first = it.ask();
    const second = it.ask();
    it.socket.write(settings);
    await it.peer.find((frame) => frame.streamId === 3);
    it.socket.resetAndDestroy();
    await Promise.all([first.answer.done, second.answer.done]);
    assert.deepEqual(
      [first, second].map(({ answer: { failure } }) =>
        failure?.kind === "connection-lost" ? failure.reused : failure,
      ),
      [false, true],
    );
    await it.end();
  });

  test("ends its side is gone", async () => {
    const it = await stage();
    const { answer } = it.ask();
    it.socket.end(settings);
    await answer.done;
    assert.equal(answer.failure?.kind, "connection-lost");
    await it.end();
  });

  test("answers before the request is whole gets no more of it", async () => {
    const it = await stage();
    const { answer, writer } = it.ask("/", false);
    writer.body(Buffer.from("some"), 0, 4);
    it.socket.write(Buffer.concat([settings, ok(1, 0x5)]));
    await answer.done;
    assert.equal(answer.ended, true);
    assert.equal(await it.peer.resetCode(1), 8);
    assert.equal(writer.body(Buffer.from("more"), 0, 4), true);
    writer.end(undefined);
    assert.equal(it.client.activeRequests, 0);
    await it.end();
  });

  test("sends interim answers, then trailers only", async () => {
    const it = await stage();
    const { answer } = it.ask();
    const hints = rawFrame(
      1,
      4,
      1,
      rawBlock([
        [":status", "103"],
        ["link", "</a>"],
      ]),
    );
    it.socket.write(Buffer.concat([settings, hints, ok(1, 0x5, ["grpc-status", "5"])]));
    await answer.done;
    assert.equal(answer.interims[0]?.fields.get("link"), "</a>");
    assert.equal(answer.response?.fields.get("grpc-status"), "5");
    assert.equal(answer.ended, true);
    await it.end();
  });

  test("allows fewer streams is not asked for more", async () => {
    const it = await stage();
    assert.equal(it.client.capacity, 100);
    it.socket.write(rawFrame(4, 0, 0, "000300000001"));
    await it.peer.find((frame) => frame.type === 4 && frame.flags === 1);
    const { answer } = it.ask();
    assert.equal(it.client.capacity, 0);
    assert.throws(() => it.ask());
    it.socket.write(ok(1, 0x5));
    await answer.done;
    assert.deepEqual([it.client.capacity, it.events], [1, ["available"]]);
    await it.end();
  });

  test("does not take extended CONNECT fails an upgrade; one that does opens a tunnel", async () => {
    const it = await stage();
    it.socket.write(settings);
    await it.peer.find((frame) => frame.type === 4 && frame.flags === 1);
    const refused = new Answer();
    it.client.open(requestOf("/chat", { upgrade: "websocket" }), false, refused);
    await refused.done;
    assert.equal(refused.failure?.kind, "protocol-error");
    it.socket.write(rawFrame(4, 0, 0, "000800000001"));
    await delay(10);
    const answer = new Answer();
    const writer = it.client.open(requestOf("/chat", { upgrade: "websocket" }), false, answer);
    it.socket.write(Buffer.concat([ok(3), data(3, 1, "over")]));
    await answer.done;
    assert.deepEqual([answer.response?.status, answer.text], [101, "over"]);
    writer.body(Buffer.from("and out"), 0, 7);
    writer.end(undefined);
    await it.peer.find((frame) => frame.type === 0 && (frame.flags & 1) === 1);
    await it.end();
  });
});

test("a dead server is found by PINGs", async () => {
  const clock = new FakeClock();
  const it = await stage(clock, 10_000);
  const { answer } = it.ask();
  it.socket.write(settings);
  await it.peer.find((frame) => frame.type === 4 && frame.flags === 1);
  await clock.advance(10_000);
  await it.peer.find((frame) => frame.type === 6);
  await clock.advance(20_000);
  await answer.done;
  assert.equal(answer.failure?.kind, "connection-lost");
  await it.end();
});

test("fields that belong to HTTP/1.1 do not leave, secrets stay out of tables", async () => {
  const it = await stage();
  const fields = new Fields(["connection", "close", "te", "gzip", "authorization", "Bearer x"]);
  it.client.open(requestOf("/", { fields }), true, new Answer());
  const { payload } = await it.peer.find((frame) => frame.type === 1);
  assert.ok(!payload.includes("close") && !payload.includes("gzip"));
  // RFC 7541 section 6.2.3: literal never indexed, name 23 of the static table.
  assert.ok(
    payload.includes(Buffer.concat([Buffer.from([0x1f, 0x08, 8]), Buffer.from("Bearer x")])),
  );
  await it.end();
});
