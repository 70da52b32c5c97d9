/** Laws of the codec: what is encoded comes back, and how octets are split never matters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HpackDecoder } from "../../../../src/shared/hbone/hpack/decoder.ts";
import { HpackEncoder } from "../../../../src/shared/hbone/hpack/encoder.ts";
import { ConnectionError } from "../../../../src/shared/hbone/http2/errors.ts";
import { FrameReader, type FrameSink } from "../../../../src/shared/hbone/http2/frame-reader.ts";
import type { HeaderField } from "../../../../src/shared/hbone/tunnel.ts";
import { rawFrame, rawPreface } from "../../../support/hbone.ts";

const latin1 = fc
  .uint8Array({ maxLength: 60 })
  .map((octets) => Buffer.from(octets).toString("latin1"));
const name = fc.oneof(
  fc.constantFrom(":method", ":authority", ":status", "baggage", "cookie", "via", "traceparent"),
  latin1.filter((text) => text.length > 0 && !text.includes("\0")),
);
const value = fc.oneof(
  fc.constantFrom("CONNECT", "200", "a", ""),
  latin1.filter((text) => !text.includes("\0")),
);
const fieldList = fc.array(fc.tuple(name, value) as fc.Arbitrary<HeaderField>, { maxLength: 20 });

test("HPACK: any lists in any order come back, whatever the table size does in between", () => {
  const step = fc.record({ fields: fieldList, table: fc.option(fc.nat(5000), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(1 << 20);
      for (const { fields, table } of steps) {
        if (table !== undefined) encoder.setPeerTableSize(table);
        const block = encoder.encode(fields);
        assert.deepEqual(decoder.decode(block, 0, block.length), { fields, tooLarge: false });
      }
    }),
  );
});

test("HPACK: no octets make the decoder do anything but decode or refuse", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), (blocks) => {
      const decoder = new HpackDecoder(4096);
      try {
        for (const block of blocks) decoder.decode(block, 0, block.length);
      } catch (thrown) {
        assert.ok(thrown instanceof ConnectionError);
      }
    }),
    { numRuns: 2000 },
  );
});

/** Writes down what the reader reports, DATA pieces joined. */
class Recorder implements FrameSink {
  readonly events: unknown[] = [];
  #payload: Buffer[] = [];

  data(streamId: number, flowBytes: number, payloadBytes: number): void {
    this.events.push(["data", streamId, flowBytes, payloadBytes]);
  }
  payload(bytes: Buffer, start: number, end: number): void {
    assert.ok(end > start);
    this.#payload.push(Buffer.from(bytes.subarray(start, end)));
  }
  dataEnd(streamId: number, endStream: boolean): void {
    const payload = Buffer.concat(this.#payload).toString("hex");
    this.#payload = [];
    this.events.push(["dataEnd", streamId, endStream, payload]);
  }
  headers(
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    endStream: boolean,
  ): void {
    const block = Buffer.from(bytes.subarray(start, end)).toString("hex");
    this.events.push(["headers", streamId, block, endStream]);
  }
  peerReset(streamId: number, code: number): void {
    this.events.push(["reset", streamId, code]);
  }
  settings(bytes: Uint8Array, start: number, end: number): void {
    this.events.push(["settings", Buffer.from(bytes.subarray(start, end)).toString("hex")]);
  }
  settingsAck(): void {
    this.events.push(["settingsAck"]);
  }
  ping(ack: boolean, bytes: Uint8Array, start: number): void {
    this.events.push(["ping", ack, Buffer.from(bytes.subarray(start, start + 8)).toString("hex")]);
  }
  goAway(lastStreamId: number, code: number): void {
    this.events.push(["goAway", lastStreamId, code]);
  }
  windowUpdate(streamId: number, increment: number): void {
    this.events.push(["windowUpdate", streamId, increment]);
  }
  ignored(): void {
    this.events.push(["ignored"]);
  }
}

const streamId = fc.integer({ min: 1, max: 0x7fff_ffff });
const body = fc.uint8Array({ maxLength: 300 });
const uint32 = fc.nat(0xffff_ffff).map((number) => {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(number);
  return octets;
});

/** One frame, or the frames of one header block. */
const wellFormed: fc.Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(streamId, body, fc.boolean())
    .map(([id, bytes, end]) => rawFrame(0, end ? 1 : 0, id, bytes)),
  fc
    .tuple(streamId, body, fc.nat(100))
    .map(([id, bytes, padding]) =>
      rawFrame(0, 8, id, Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)])),
    ),
  fc
    .tuple(streamId, fc.array(body, { minLength: 1, maxLength: 4 }))
    .map(([id, parts]) =>
      Buffer.concat(
        parts.map((part, index) =>
          rawFrame(index === 0 ? 1 : 9, index === parts.length - 1 ? 4 : 0, id, part),
        ),
      ),
    ),
  fc.tuple(streamId, uint32).map(([id, code]) => rawFrame(3, 0, id, code)),
  fc.constant(rawFrame(4, 1, 0)),
  fc.constant(rawFrame(4, 0, 0, "000300000064000400010000")),
  fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => rawFrame(6, 1, 0, bytes)),
  fc.tuple(uint32, uint32, body).map((parts) => rawFrame(7, 0, 0, Buffer.concat(parts))),
  fc.tuple(streamId, uint32).map(([id, increment]) => rawFrame(8, 0, id, increment)),
  fc.tuple(streamId, body).map(([id, bytes]) => rawFrame(0xbe, 0xff, id, bytes)),
  streamId.map((id) => rawFrame(2, 0, id, "0000000010")),
);

function eventsOf(pieces: readonly Uint8Array[]): readonly unknown[] {
  const recorder = new Recorder();
  const limits = { maxFrameBytes: 16_384, maxBlockBytes: 8192, preface: true };
  const reader = new FrameReader(recorder, limits);
  try {
    // Each piece lies somewhere in a larger block, as it does in a session.
    for (const piece of pieces) {
      const block = Buffer.concat([Buffer.from("xx"), piece, Buffer.from("yy")]);
      reader.feed(block, 2, 2 + piece.length);
    }
  } catch (thrown) {
    assert.ok(thrown instanceof ConnectionError);
    recorder.events.push(["error", thrown.code, thrown.message]);
  }
  return recorder.events;
}

function cut(bytes: Buffer, points: readonly number[]): readonly Buffer[] {
  const sorted = [...new Set(points.map((point) => point % (bytes.length + 1)))].sort(
    (a, b) => a - b,
  );
  return [0, ...sorted].map((from, index) => bytes.subarray(from, sorted[index] ?? bytes.length));
}

test("frames: split anywhere, down to single octets, the same events come out", () => {
  fc.assert(
    fc.property(
      fc.array(wellFormed, { maxLength: 12 }),
      fc.array(fc.nat(10_000), { maxLength: 20 }),
      (frames, points) => {
        const bytes = Buffer.concat([rawPreface, rawFrame(4, 0, 0), ...frames]);
        const whole = eventsOf([bytes]);
        assert.deepEqual(eventsOf(cut(bytes, points)), whole);
        assert.deepEqual(eventsOf([...bytes].map((octet) => Buffer.from([octet]))), whole);
      },
    ),
  );
});

test("frames: garbage is refused in the same way however it is split", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.nat(1000), { maxLength: 8 }),
      (garbage, points) => {
        const bytes = Buffer.concat([rawPreface, rawFrame(4, 0, 0), garbage]);
        assert.deepEqual(eventsOf(cut(bytes, points)), eventsOf([bytes]));
      },
    ),
    { numRuns: 500 },
  );
});
