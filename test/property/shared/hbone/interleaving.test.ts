/** Any number of tunnels, pieces and pauses, over any windows: each direction of each tunnel delivers exactly its own octets. */
import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { tunnelAsDuplex } from "../../../../src/shared/hbone/duplex.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import { neverAborts } from "../../../support/hbone.ts";
import { sessionPair } from "../../../support/session-pair.ts";

interface Script {
  /** Lengths of what the client writes, in order; the server answers each octet with its complement. */
  readonly pieces: readonly number[];
  /** Turns to wait before each piece. */
  readonly pauses: readonly number[];
  /** Turns to wait after each chunk read. */
  readonly readPause: number;
}

function octetsOf(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + seed * 17 + (at >> 8)) & 0xff;
  return bytes;
}

async function turns(count: number): Promise<void> {
  for (let done = 0; done < count; done++) await turn();
}

async function writeAll(stream: Duplex, bytes: Buffer, script: Script): Promise<void> {
  let at = 0;
  for (const [index, length] of script.pieces.entries()) {
    await turns(script.pauses[index] ?? 0);
    stream.write(bytes.subarray(at, at + length));
    at += length;
  }
  stream.end();
}

async function readAll(stream: Duplex, pause: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    await turns(pause);
  }
  return Buffer.concat(chunks);
}

/** Sends back each octet's complement. */
async function complement(stream: Duplex): Promise<void> {
  for await (const chunk of stream) stream.write(Buffer.from(chunk, 0).map((octet) => 255 - octet));
  stream.end();
}

const script: fc.Arbitrary<Script> = fc.record({
  pieces: fc.array(fc.oneof(fc.nat(20), fc.nat(3000), fc.nat(70_000)), { maxLength: 8 }),
  pauses: fc.array(fc.nat(3), { maxLength: 8 }),
  readPause: fc.nat(2),
});

const window = fc.constantFrom(99, 1000, 65_535, 1 << 20);

test("interleaved tunnels under any windows", async () => {
  const options = fc.record({
    streamWindowBytes: window,
    connectionWindowBytes: fc.constantFrom(65_535, 100_000, 1 << 24),
    maxFrameBytes: fc.constantFrom(16_384, 20_000, 1 << 20),
  });
  const scripts = fc.array(script, { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(scripts, options, options, async (list, client, server) => {
      const pair = await sessionPair(
        (tunnel) => void complement(tunnelAsDuplex(tunnel.accept([]))),
        { client, server },
      );
      const jobs = list.map(async (entry, seed) => {
        const answer = await pair.client.connect({ authority: "a:1", headers: [] }, neverAborts);
        assert.ok(answer.kind === "open");
        const stream = tunnelAsDuplex(answer.stream);
        const length = entry.pieces.reduce((sum, piece) => sum + piece, 0);
        const sent = octetsOf(seed, length);
        const [, received] = await Promise.all([
          writeAll(stream, sent, entry),
          readAll(stream, entry.readPause),
        ]);
        assert.ok(received.equals(sent.map((octet) => 255 - octet)));
      });
      await Promise.all(jobs);
      await pair.close();
      assert.equal(slabsInUse(), 0);
    }),
    { numRuns: 40, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false },
  );
});
