import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { detachSocket } from "../../../../src/shared/os/detach-socket.ts";
import { startReading } from "../../../../src/shared/os/user-buffer.ts";

const listening = createServer({ allowHalfOpen: true, pauseOnConnect: true });

async function pair(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  const address = listening.address();
  assert.ok(address !== null && typeof address === "object");
  const accepted = once(listening, "connection");
  const far = connect(address.port, "127.0.0.1");
  const [near] = await accepted;
  listening.close();
  return { near, far };
}

/** What the socket's own properties refer to, symbols included. */
function refersTo(socket: Socket): unknown[] {
  return Reflect.ownKeys(socket).map((key): unknown => Reflect.get(socket, key));
}

test("a closed socket keeps neither listeners nor its reader, and tells everybody who waited for its end", async () => {
  const { near, far } = await pair();
  const memory = Buffer.alloc(16);
  const read: number[] = [];
  startReading(near, {
    nextBuffer: () => memory,
    onRead: (length) => read.push(length) > 0,
  });
  far.write("hello");
  while (read.length === 0) await new Promise((resolve) => setImmediate(resolve));
  let told = 0;
  near.on("close", () => {
    detachSocket(near);
    told++;
  });
  near.on("close", () => told++);
  near.destroy();
  far.destroy();
  while (told < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(near.eventNames(), ["error"]);
  assert.ok(!refersTo(near).includes(memory));
  // Ends nothing and nobody.
  near.emit("error", new Error("late"));
});
