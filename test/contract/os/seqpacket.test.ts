/** Packets and descriptors over real unix sockets; what a broken or slow peer does to us. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { MeshError } from "../../../src/shared/base/errors.ts";
import { closeDescriptor } from "../../../src/shared/os/libc.ts";
import type { Packet } from "../../../src/shared/os/message.ts";
import { NetworkNamespace } from "../../../src/shared/os/network-namespace.ts";
import { SeqpacketListener, SeqpacketSocket } from "../../../src/shared/os/seqpacket.ts";

const folder = mkdtempSync(join(tmpdir(), "ambit-seqpacket-"));
const path = join(folder, "deep", "zds.sock");
after(() => rmSync(folder, { recursive: true }));

let listener: SeqpacketListener;
let client: SeqpacketSocket;
let server: SeqpacketSocket;

beforeEach(async () => {
  listener = SeqpacketListener.listen(path);
  client = SeqpacketSocket.connect(path);
  server = await listener.accept();
});
afterEach(() => {
  for (const end of [client, server, listener]) end.close();
});

async function packet(from: SeqpacketSocket, maxBytes = 1024): Promise<Packet> {
  const received = await from.receive(maxBytes);
  assert.notEqual(received, "end");
  return received as Packet;
}

const openFds = (): number => readdirSync("/proc/self/fd").length;

describe("packets", () => {
  it("keep their boundaries and their order", async () => {
    const waiting = packet(server);
    await client.send(Buffer.from("one"));
    await client.send(Buffer.from("two"));
    assert.equal(Buffer.from((await waiting).bytes).toString(), "one");
    assert.equal(Buffer.from((await packet(server)).bytes).toString(), "two");
  });

  it("say when they were larger than the reader takes", async () => {
    await client.send(Buffer.alloc(1025, 7));
    const { bytes, truncated } = await packet(server);
    assert.deepEqual([bytes.length, truncated], [1024, true]);
    await client.send(Buffer.alloc(1024, 7));
    assert.equal((await packet(server)).truncated, false);
  });

  it("wait while the reader is slow, and none is lost", async () => {
    let sent = 0;
    const sending = (async () => {
      for (; sent < 1000; sent++)
        await client.send(Buffer.from(`packet ${sent} ${"x".repeat(500)}`));
    })();
    await systemClock.sleep(30);
    assert.ok(sent < 1000, "the sender must wait");
    for (let i = 0; i < 1000; i++)
      assert.match(
        Buffer.from((await packet(server)).bytes).toString(),
        new RegExp(`^packet ${i} `),
      );
    await sending;
  });
});

describe("descriptors", () => {
  it("arrive as what they were, closed on exec, and are the receiver's", async () => {
    const own = NetworkNamespace.own();
    const before = openFds();
    await client.send(Buffer.from("namespace"), [own.fd]);
    const { fds } = await packet(server);
    const [fd = -1] = fds;
    assert.equal(fds.length, 1);
    assert.match(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"), /flags:\s+02\d{6}/);
    const received = NetworkNamespace.adopt(fd, "received");
    assert.equal(received.sameAs(own), true);
    received.close();
    assert.equal(openFds(), before);
  });

  it("come along in any number, and none leaks when the reader has no use for them", async () => {
    const own = NetworkNamespace.own();
    const before = openFds();
    await client.send(
      Buffer.from("many"),
      Array.from({ length: 200 }, () => own.fd),
    );
    const { fds } = await packet(server);
    assert.equal(fds.length, 200);
    for (const fd of fds) closeDescriptor(fd);
    assert.equal(openFds(), before);
  });
});

describe("the end", () => {
  it("is seen by the other side after what was sent before it", async () => {
    await client.send(Buffer.from("last"));
    client.close();
    assert.equal((await packet(server)).bytes.length, 4);
    assert.equal(await server.receive(1024), "end");
    await assert.rejects(server.send(Buffer.from("too late")), { code: "EPIPE" });
  });

  it("rejects who waits on this side", async () => {
    const waiting = assert.rejects(server.receive(1024), /closed/);
    server.close();
    await waiting;
    const accepting = assert.rejects(listener.accept(), /closed/);
    listener.close();
    await accepting;
  });

  it("does not hold up the end of the process, even with somebody waiting", () => {
    const script = join(folder, "exits.ts");
    const module = resolve(import.meta.dirname, "../../../src/shared/os/seqpacket.ts");
    writeFileSync(
      script,
      `import { SeqpacketListener, SeqpacketSocket } from ${JSON.stringify(module)};
       const listener = SeqpacketListener.listen(${JSON.stringify(join(folder, "exit.sock"))});
       const client = SeqpacketSocket.connect(listener.path);
       void client.receive(10);
       void listener.accept().then(() => setImmediate(() => process.exit(7)));`,
    );
    const { status, signal, stderr } = spawnSync(process.execPath, [script], {
      timeout: 10_000,
      encoding: "utf8",
    });
    assert.deepEqual([status, signal, stderr], [7, null, ""]);
  });
});

describe("paths", () => {
  it("are open to the own user only, and taken over from a dead process", () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    listener.close();
    assert.throws(
      () => SeqpacketSocket.connect(path),
      (thrown) =>
        thrown instanceof MeshError &&
        thrown.message === `Cannot connect to ${path}: connection refused`,
    );
    listener = SeqpacketListener.listen(path);
    SeqpacketSocket.connect(path).close();
  });

  it("must fit into the structure", () => {
    assert.throws(() => SeqpacketListener.listen(`/tmp/${"x".repeat(120)}`), /1 to 107 bytes/);
  });
});
