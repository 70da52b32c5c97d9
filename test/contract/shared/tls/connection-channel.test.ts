/** TLS on a bare connection against a TLS socket of Node's: octets, back pressure, and every way to end. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { ChannelEvents, SecureChannel } from "../../../../src/shared/tls/channel.ts";
import { type Carried, carriers } from "../../../support/carriers.ts";
import { deferred } from "../../../support/deferred.ts";

const [bare] = carriers;
const megabyte = Buffer.alloc(1024 * 1024, "0123456789abcde\n");

/** Everything a channel tells, in order. */
class Told implements ChannelEvents {
  readonly events: string[] = [];
  readonly written: Promise<void>;
  readonly closed: Promise<void>;
  received = 0;
  readonly hash = createHash("sha256");
  readonly channelWritten: () => void;
  readonly channelClosed: () => void;

  constructor(channel: SecureChannel) {
    const written = deferred<void>();
    const closed = deferred<void>();
    this.written = written.promise;
    this.closed = closed.promise;
    this.channelWritten = () => {
      this.events.push("written");
      written.resolve();
    };
    this.channelClosed = () => {
      this.events.push("closed");
      closed.resolve();
    };
    channel.listen(this);
  }

  channelFailed(error: Error): void {
    this.events.push(`failed: ${error.message}`);
  }

  channelEnded(): void {
    this.events.push("ended");
  }

  read(channel: SecureChannel, roomBytes = 64 * 1024): void {
    const room = Buffer.alloc(roomBytes);
    channel.read({
      nextBuffer: () => room,
      onRead: (length) => {
        this.received += length;
        this.hash.update(room.subarray(0, length));
        return true;
      },
    });
  }
}

async function open(): Promise<Carried & { ours: SecureChannel; told: Told }> {
  assert.ok(bare);
  const { ours, peer, peerSocket } = await bare.ourServer();
  assert.ok("isDirect" in ours);
  return { ours, peer, peerSocket, told: new Told(ours) };
}

const digest = (bytes: Buffer, times: number): string => {
  const hash = createHash("sha256");
  for (let i = 0; i < times; i++) hash.update(bytes);
  return hash.digest("hex");
};

test("what the peer writes arrives, however small the room for it is", async () => {
  for (const roomBytes of [1000, 16 * 1024, 256 * 1024]) {
    const { ours, peer, told } = await open();
    told.read(ours, roomBytes);
    for (let i = 0; i < 4; i++) peer.write(megabyte);
    peer.end();
    await told.closed;
    assert.equal(told.received, 4 * megabyte.length);
    assert.equal(told.hash.digest("hex"), digest(megabyte, 4));
    assert.deepEqual(told.events, ["ended", "closed"]);
  }
});

test("what came together with the end of the handshake is read", async () => {
  const { ours, peer, told } = await open();
  peer.write("early");
  told.read(ours);
  peer.end();
  await told.closed;
  assert.equal(told.received, 5);
});

test("a peer that does not read stops the writer, and lets it go on when it reads", async () => {
  const { ours, peer, told } = await open();
  told.read(ours);
  peer.pause();
  const scratch = Buffer.from(megabyte);
  let writes = 1;
  while (ours.write(scratch)) writes++;
  assert.ok(writes < 64, "the kernel takes no end of it");
  // The memory is free again.
  scratch.fill(0);
  const hash = createHash("sha256");
  let bytes = 0;
  peer.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  peer.resume();
  await told.written;
  ours.end(Buffer.from("last words"));
  await once(peer, "end");
  assert.equal(bytes, writes * megabyte.length + 10);
  const expected = createHash("sha256");
  for (let i = 0; i < writes; i++) expected.update(megabyte);
  assert.equal(hash.digest("hex"), expected.update("last words").digest("hex"));
  peer.end();
  await told.closed;
  assert.deepEqual(told.events, ["written", "ended", "closed"]);
});

test("a reset is a failure with its reason; an end without an alert is an end", async () => {
  const first = await open();
  first.told.read(first.ours);
  first.peerSocket.resetAndDestroy();
  await first.told.closed;
  assert.deepEqual(first.told.events, ["failed: connection reset by peer", "closed"]);
  const second = await open();
  second.told.read(second.ours);
  second.peer.destroy();
  await second.told.closed;
  assert.deepEqual(second.told.events, ["ended", "closed"]);
});

test("destroying tells of it once, later, and leaves no descriptor; nothing is taken any more", async () => {
  const before = readdirSync("/proc/self/fd").length;
  const { ours, peer, told } = await open();
  const error = new Error("revoked");
  ours.destroy(error);
  ours.destroy();
  assert.deepEqual(told.events, []);
  assert.equal(ours.destroyed, true);
  assert.equal(ours.write(Buffer.from("late")), true);
  ours.end(Buffer.from("late"));
  await told.closed;
  assert.deepEqual(told.events, ["failed: revoked", "closed"]);
  peer.destroy();
  await once(peer, "close");
  assert.ok(readdirSync("/proc/self/fd").length <= before + 1);
});

test("a channel that has closed before anybody listens tells so", async () => {
  assert.ok(bare);
  const { ours, peer } = await bare.ourClient();
  assert.ok("isDirect" in ours);
  ours.destroy();
  const told = new Told(ours);
  await told.closed;
  assert.deepEqual(told.events, ["closed"]);
  peer.destroy();
});
