/**
 * The header decoder: COMPRESSION_ERROR or a bounded list, which our encoder writes and a decoder reads again; the checks of
 * requests and responses on it refuse with a StreamError or accept. An input is a sequence of blocks on one connection, each
 * behind its length in two octets.
 */
import assert from "node:assert/strict";
import { HpackDecoder } from "../../src/shared/hbone/hpack/decoder.ts";
import { HpackEncoder } from "../../src/shared/hbone/hpack/encoder.ts";
import { ConnectionError, errorCode, StreamError } from "../../src/shared/hbone/http2/errors.ts";
import { parseRequest, parseResponse } from "../../src/shared/hbone/http2/requests.ts";
import type { HeaderField } from "../../src/shared/hbone/tunnel.ts";
import { fuzz } from "./harness.ts";

const maxListBytes = 2048;

function* blocksOf(input: Buffer): Generator<readonly [start: number, end: number]> {
  for (let at = 0; at + 2 <= input.length; ) {
    const start = at + 2;
    at = Math.min(input.length, start + input.readUInt16BE(at));
    yield [start, at];
  }
}

function checked(what: string, check: () => unknown): string {
  try {
    check();
    return `${what} fine`;
  } catch (thrown) {
    if (!(thrown instanceof StreamError)) throw thrown;
    assert.equal(thrown.code, errorCode.protocolError);
    return `${what} ${thrown.message.replace(/".*"/s, "")}`;
  }
}

/** What is decoded is encoded and decoded to the same, twice: the second time from the tables. */
function checkRoundTrip(fields: readonly HeaderField[]): void {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(1 << 20);
  for (let round = 0; round < 2; round++) {
    const block = encoder.encode(fields);
    assert.deepEqual(decoder.decode(block, 0, block.length), { fields, tooLarge: false });
  }
}

function run(input: Buffer): string {
  const decoder = new HpackDecoder(maxListBytes, 256);
  const outcomes: string[] = [];
  try {
    for (const [start, end] of blocksOf(input)) {
      const { fields, tooLarge } = decoder.decode(input, start, end);
      const size = fields.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
      assert.ok(size <= maxListBytes);
      checkRoundTrip(fields);
      outcomes.push(`${Math.min(fields.length, 4)} ${tooLarge}`);
      outcomes.push(checked("request", () => parseRequest(fields)));
      outcomes.push(checked("response", () => parseResponse(fields)));
    }
  } catch (thrown) {
    if (!(thrown instanceof ConnectionError)) throw thrown;
    assert.equal(thrown.code, errorCode.compressionError);
    outcomes.push(thrown.message.replace(/\d+/g, "N"));
  }
  return outcomes.slice(-6).join("; ");
}

fuzz({
  name: "hpack",
  run,
  // Sizes of the table, long integers, names of pseudo headers, a Huffman text.
  dictionary: [
    Buffer.from("20", "hex"),
    Buffer.from("3fe101", "hex"),
    Buffer.from("3f80808080", "hex"),
    Buffer.from("ffffffffff0f", "hex"),
    Buffer.from("7f8080808000", "hex"),
    Buffer.from("40073a6d6574686f6407434f4e4e454354", "hex"),
    Buffer.from("418cf1e3c2e5f23a6ba0ab90f4ff", "hex"),
    "\u0000\u0003foo\u0003bar",
    ":authority",
    ":status",
    "connection",
  ],
});
