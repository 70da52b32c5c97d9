/** The undocumented reads and their fallback do the same, on the Node that runs this. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import {
  type BufferReader,
  disableUserBuffer,
  resumeReading,
  startReading,
  userBufferSupported,
} from "../../../../src/shared/os/user-buffer.ts";
import { socketPair, tlsPair } from "../../../support/hbone.ts";

/** Collects, pausing after every read. */
class Collector implements BufferReader {
  readonly chunks: Buffer[] = [];
  readonly #memory = Buffer.alloc(1000);
  readonly #socket: Socket;
  bytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  nextBuffer(): Buffer {
    return this.#memory.subarray(0, 500 + (this.bytes % 500));
  }

  onRead(length: number): boolean {
    this.chunks.push(Buffer.from(this.#memory.subarray(0, length)));
    this.bytes += length;
    setImmediate(() => resumeReading(this.#socket));
    return false;
  }
}

async function roundTrip(from: Socket, to: Socket): Promise<void> {
  const sent = randomBytes(150_000);
  const head = sent.subarray(0, 10);
  to.unshift(head);
  const reader = new Collector(to);
  const ended = once(to, "end");
  from.end(sent.subarray(10));
  startReading(to, reader);
  await ended;
  assert.ok(Buffer.concat(reader.chunks).equals(sent));
  to.destroy();
  from.destroy();
}

test("this Node has the fast way", () => {
  assert.equal(userBufferSupported(), true);
});

for (const way of ["user buffer", "'data' events"]) {
  test(`TCP by ${way}`, async () => {
    if (way !== "user buffer") disableUserBuffer();
    const { near, far } = await socketPair();
    await roundTrip(far, near);
  });

  test(`TLS by ${way}`, async () => {
    const { client, server } = await tlsPair();
    await roundTrip(client, server);
  });
}
