/** The undocumented writes and their fallback do the same, on the Node that runs this. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Writable } from "node:stream";
import { test } from "node:test";
import type { TLSSocket } from "node:tls";
import { disableDirectWrites, TlsWriter } from "../../../../src/shared/os/tls-writer.ts";
import { tlsPair } from "../../../support/hbone.ts";

/** How many writes went through the stream. */
function countStreamWrites(socket: TLSSocket): () => number {
  let count = 0;
  const write = Writable.prototype.write;
  Object.defineProperty(socket, "write", {
    configurable: true,
    writable: true,
    value: (...args: Parameters<typeof write>) => {
      count++;
      return Reflect.apply(write, socket, args);
    },
  });
  return () => count;
}

/** Overwrites the memory as soon as a write has returned, and writes again when the last one has finished. */
async function send(socket: TLSSocket, bytes: Buffer, pieceBytes: number): Promise<void> {
  const memory = Buffer.alloc(pieceBytes);
  let at = 0;
  await new Promise<void>((resolve) => {
    const next = (): void => {
      if (at === bytes.length) {
        resolve();
        return;
      }
      const length = bytes.copy(memory, 0, at, at + pieceBytes);
      at += length;
      writer.write(memory.subarray(0, length));
      memory.fill(0);
    };
    const writer = new TlsWriter(socket, next);
    next();
  });
}

for (const way of ["direct", "through the stream"] as const) {
  test(`everything arrives in order, and the end after it, ${way}`, async () => {
    if (way !== "direct") disableDirectWrites();
    const { client, server } = await tlsPair();
    const streamWrites = countStreamWrites(client);
    const sent = randomBytes(3_000_000);
    const received: Buffer[] = [];
    server.on("data", (chunk: Buffer) => received.push(chunk));
    const ended = once(server, "end");
    await send(client, sent.subarray(0, 10_000), 100);
    await send(client, sent.subarray(10_000), 300_000);
    client.end();
    await ended;
    assert.ok(Buffer.concat(received).equals(sent));
    // The first one of the process shows what a request looks like.
    if (way === "direct") assert.ok(streamWrites() <= 1, `${streamWrites()} writes by the stream`);
    server.destroy();
  });

  test(`a socket that is cut during a write tells so once, ${way}`, async () => {
    const { client, server } = await tlsPair();
    server.pause();
    client.on("error", () => undefined);
    let written = 0;
    const writer = new TlsWriter(client, () => {
      written++;
    });
    // More than the kernel takes: it stays in flight.
    writer.write(randomBytes(16_000_000));
    const closed = once(client, "close");
    client.destroy();
    await closed;
    assert.equal(written, 1);
    writer.write(Buffer.from("too late"));
    server.destroy();
  });

  test(`a socket whose peer is gone closes, and takes no more, ${way}`, async () => {
    const { client, server } = await tlsPair();
    const failures: string[] = [];
    client.on("error", (error: NodeJS.ErrnoException) =>
      failures.push(error.code ?? error.message),
    );
    client.resume();
    const closed = new Promise<void>((resolve) => client.on("close", () => resolve()));
    server.destroy();
    const writer = new TlsWriter(client, () => {
      if (!client.destroyed) setImmediate(() => writer.write(Buffer.alloc(1_000)));
    });
    writer.write(Buffer.alloc(1_000));
    await closed;
    assert.ok(
      failures.every((code) => code === "EPIPE" || code === "ECONNRESET"),
      `${failures}`,
    );
  });
}
