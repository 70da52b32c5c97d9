/** The handshake's laws: the cut of the bytes never matters, nothing is read too far, and no bytes make it throw. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ipFromBytes } from "../../../../src/shared/net/ip.ts";
import {
  MAX_SOCKS_MESSAGE,
  readGreeting,
  readRequest,
  type SocksMessage,
} from "../../../../src/ztunnel/proxy/socks5-protocol.ts";

type Read = (bytes: Uint8Array) => SocksMessage<unknown>;

/** Feeds one byte more at a time until the reader has had enough. */
function byByte(read: Read, bytes: Uint8Array): SocksMessage<unknown> {
  for (let length = 0; length <= bytes.length; length++) {
    const message = read(bytes.subarray(0, length));
    if (message.kind !== "more") return message;
  }
  return { kind: "more" };
}

const noise = fc.uint8Array({ maxLength: 300 });

const port = fc.integer({ min: 0, max: 0xffff });

const request = fc.oneof(
  fc.record({
    type: fc.constant(1),
    data: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    port,
  }),
  fc.record({
    type: fc.constant(4),
    data: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    port,
  }),
  fc.record({
    type: fc.constant(3),
    data: fc
      .stringMatching(/^[a-z]([a-z0-9.-]{0,253}[a-z])?$/)
      .map((name) => Uint8Array.from([name.length, ...Buffer.from(name)])),
    port,
  }),
);

function encode(from: { type: number; data: Uint8Array; port: number }): Uint8Array {
  return Uint8Array.from([5, 1, 0, from.type, ...from.data, from.port >> 8, from.port & 0xff]);
}

for (const [name, read] of [
  ["greeting", readGreeting],
  ["request", readRequest],
] as readonly (readonly [string, Read])[]) {
  test(`${name}: any bytes give an outcome, and byte by byte the same one`, () => {
    fc.assert(
      fc.property(
        fc.oneof(
          noise,
          noise.map((tail) => Uint8Array.from([5, 1, 0, ...tail])),
        ),
        (bytes) => {
          const whole = read(bytes);
          assert.deepEqual(byByte(read, bytes), whole);
          if (whole.kind === "more") assert.ok(bytes.length < MAX_SOCKS_MESSAGE);
          if (whole.kind === "read") assert.ok(whole.length <= bytes.length);
        },
      ),
    );
  });
}

test("a request says what was written, and leaves what follows", () => {
  fc.assert(
    fc.property(request, noise, (from, tail) => {
      const message = encode(from);
      const read = readRequest(Uint8Array.from([...message, ...tail]));
      assert.ok(read.kind === "read");
      assert.equal(read.length, message.length);
      const { value } = read;
      if (value.kind === "name")
        assert.deepEqual(
          [from.type, value.name, value.port],
          [3, Buffer.from(from.data.subarray(1)).toString(), from.port],
        );
      else if (from.type !== 3)
        assert.deepEqual(value.address, { ip: ipFromBytes(from.data), port: from.port });
    }),
  );
});
