/** Our client against our server over a pipe of memory: however octets are split and readers stall, messages arrive whole. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { slabsInUse } from "../../../src/shared/hbone/session/slab.ts";
import type { Http2Client } from "../../../src/waypoint/http/http2/client.ts";
import { Fields } from "../../../src/waypoint/http/message.ts";
import type { BodyWriter } from "../../../src/waypoint/http/stream.ts";
import {
  Answer,
  dialOver,
  makeApp,
  memoryPair,
  requestOf,
  serve,
} from "../../support/waypoint/http2.ts";

interface Plan {
  readonly pieces: readonly number[];
  readonly window: number;
  readonly requests: readonly {
    readonly bodies: readonly number[];
    readonly trailers: boolean;
    readonly stalls: boolean;
  }[];
}

const plans: fc.Arbitrary<Plan> = fc.record({
  pieces: fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 70_000 })), {
    minLength: 1,
    maxLength: 8,
  }),
  window: fc.constantFrom(1, 100, 5000, 65_535, 1_000_000),
  requests: fc.array(
    fc.record({
      bodies: fc.array(
        fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 90_000 })),
        {
          maxLength: 4,
        },
      ),
      trailers: fc.boolean(),
      stalls: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

async function play(plan: Plan): Promise<void> {
  let next = 0;
  // With a window of one octet a large body needs too many turns.
  const scale = plan.window < 5000 ? 1000 : 1;
  const pieceOf = (): number => plan.pieces[next++ % plan.pieces.length] ?? 1;
  const [near, far] = memoryPair(scale === 1 ? pieceOf : () => Math.max(pieceOf(), 20_000));
  const server = serve(far, makeApp());
  // Only a client can have a small window from the first octet on: its SETTINGS come before its requests.
  const { client } = dialOver(near, { streamWindowBytes: plan.window });
  await Promise.all(plan.requests.map((request, index) => exchange(client, request, index, scale)));
  assert.deepEqual([client.activeRequests, server.activeRequests], [0, 0]);
  client.drain();
  await Promise.all([client.closed, server.closed]);
}

async function exchange(
  client: Http2Client,
  request: Plan["requests"][number],
  index: number,
  scale: number,
): Promise<void> {
  const bodies = request.bodies.map((size, part) =>
    String.fromCharCode(97 + ((index + part) % 26)).repeat(Math.floor(size / scale)),
  );
  const expected = bodies.join("");
  const answer = new Answer();
  answer.wants = !request.stalls;
  const head = requestOf(`/echo/${index}`, {
    method: "POST",
    fields: new Fields(["x-index", String(index), "content-length", String(expected.length)]),
  });
  const writer = client.open(head, false, answer);
  for (const body of bodies) {
    await write(writer, answer, body);
    if (request.stalls) await turn();
  }
  writer.end(request.trailers ? new Fields(["x-trailer", "t"]) : undefined);
  while (!answer.ended && answer.failure === undefined) {
    await turn();
    if (request.stalls) writer.resume();
  }
  assert.deepEqual(answer.failure, undefined);
  assert.equal(answer.response?.status, 200);
  assert.equal(answer.response?.fields.get("x-path"), `/echo/${index}`);
  assert.ok(answer.text === expected, "another body than was sent");
  assert.deepEqual(answer.trailers?.flat ?? [], request.trailers ? ["x-trailer", "t"] : []);
}

async function write(writer: BodyWriter, answer: Answer, text: string): Promise<void> {
  const bytes = Buffer.from(`.........${text}`);
  const before = answer.writableCalls;
  const goesOn = writer.body(bytes, 9, bytes.length);
  bytes.fill(0);
  if (!goesOn)
    await answer.until(() => answer.writableCalls > before || answer.failure !== undefined);
}

describe("HTTP/2 over any transport", () => {
  test("messages arrive as they were sent, whatever the pieces, windows and stalls", async () => {
    await fc.assert(fc.asyncProperty(plans, play), {
      numRuns: 150,
      interruptAfterTimeLimit: 40_000,
    });
    await turn();
    assert.equal(slabsInUse(), 0);
  });
});
