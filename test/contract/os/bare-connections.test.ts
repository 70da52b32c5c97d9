/** Connections that are bare system calls, against the real kernel: how they come about, what they tell, and that they go. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { MeshError } from "../../../src/shared/base/errors.ts";
import { type IpAddress, ipOf } from "../../../src/shared/net/ip.ts";
import {
  EAGAIN,
  EPOLLIN,
  EPOLLRDHUP,
  RLIMIT_NOFILE,
  SOL_TCP,
  TCP_NODELAY,
} from "../../../src/shared/os/constants.ts";
import { libc } from "../../../src/shared/os/libc.ts";
import type { ListenTcpOptions } from "../../../src/shared/os/network.ts";
import { hostNetwork } from "../../../src/shared/os/pod-network.ts";
import { getInt } from "../../../src/shared/os/socket-options.ts";
import type { TcpConnection } from "../../../src/shared/os/tcp-connection.ts";
import { deferred } from "../../support/deferred.ts";
import { bareConnections, dial, portOf } from "../../support/hbone.ts";

const network = hostNetwork(systemClock);
const loopback: IpAddress = ipOf("127.0.0.1");
const listenAny: ListenTcpOptions = {
  ip: loopback,
  port: 0,
  reusePort: false,
  transparent: "never",
};
const descriptors = (): number => readdirSync("/proc/self/fd").length;

/** The events of the next time that the connection is ready. */
function nextReady(connection: TcpConnection): Promise<number> {
  const { promise, resolve } = deferred<number>();
  connection.watch({ ready: resolve });
  return promise;
}

async function nodeServer(onSocket: (socket: Socket) => void): Promise<{
  readonly port: number;
  readonly close: () => void;
}> {
  const server = createServer({ allowHalfOpen: true }, onSocket);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { port: portOf(server), close: () => server.close() };
}

test("an accepted connection knows its peer, sends no small segment late, and has nothing to read yet", async () => {
  const { near, far } = await bareConnections.pair();
  assert.ok(!("destroy" in near));
  assert.deepEqual(near.peer, { ip: "127.0.0.1", port: far.localPort });
  assert.notEqual(getInt(near.fd, SOL_TCP, TCP_NODELAY), 0);
  assert.equal(near.receive(Buffer.alloc(10)), -EAGAIN);
  near.close();
  far.destroy();
});

test("readiness tells of octets, of the end, and of what was there before anybody watched", async () => {
  const { near, far } = await bareConnections.pair();
  assert.ok(!("destroy" in near));
  far.write("first");
  assert.equal((await nextReady(near)) & EPOLLIN, EPOLLIN);
  const room = Buffer.alloc(100);
  assert.equal(near.receive(room), 5);
  assert.equal(near.endIsNext(), false);
  far.end("last");
  await once(far, "finish");
  assert.equal((await nextReady(near)) & EPOLLRDHUP, EPOLLRDHUP);
  assert.equal(near.endIsNext(), false);
  assert.equal(near.receive(room), 4);
  assert.equal(near.endIsNext(), true);
  assert.equal(near.receive(room), 0);
  near.close();
  near.close();
});

test("octets and the end that follows them share a segment, and both arrive", async () => {
  const { near, far } = await bareConnections.pair();
  assert.ok(!("destroy" in near));
  assert.equal(near.send(Buffer.from("all of it"), true), 9);
  near.finish();
  assert.equal(await text(far), "all of it");
  near.close();
  far.destroy();
});

test("a reset is seen as a break, a close as an end", async () => {
  for (const [way, expected] of [
    ["reset", "ECONNRESET"],
    ["close", "end"],
  ] as const) {
    const { near, far } = await bareConnections.pair();
    assert.ok(!("destroy" in near));
    const seen = deferred<string>();
    far.once("error", (error: NodeJS.ErrnoException) => seen.resolve(error.code ?? ""));
    far.once("end", () => seen.resolve("end"));
    far.resume();
    near[way]();
    assert.equal(await seen.promise, expected);
    far.destroy();
  }
});

test("a dial to this machine is there at once, or refused at once with the reason", async () => {
  const server = await nodeServer((socket) => socket.end());
  const destination = { ip: loopback, port: server.port };
  const connection = await network.connectTcp({ destination, timeoutMs: 1000 });
  assert.deepEqual(connection.peer, destination);
  connection.close();
  server.close();
  const free = await nodeServer(() => undefined);
  free.close();
  const refused = async (): Promise<void> => {
    await network.connectTcp({
      destination: { ip: loopback, port: free.port },
      timeoutMs: 1000,
    });
  };
  await assert.rejects(
    refused,
    (thrown) =>
      thrown instanceof MeshError &&
      thrown.code === "connect-failed" &&
      thrown.message === `connect 127.0.0.1:${free.port}: connection refused`,
  );
});

test("what cannot be accepted for want of descriptors waits, and is served when there are some", async () => {
  const errors: string[] = [];
  const accepted = deferred<TcpConnection>();
  const listener = await network.acceptTcp(
    { ...listenAny, onAcceptError: ({ message }) => errors.push(message) },
    accepted.resolve,
  );
  const limits = Buffer.alloc(16);
  assert.equal(libc().getrlimit(RLIMIT_NOFILE, limits), 0);
  const before = limits.readBigUInt64LE(0);
  const client = connect({ host: "127.0.0.1", port: listener.port });
  // Lowest free descriptor: nothing above it may be opened.
  const taken = readdirSync("/proc/self/fd").map(Number);
  let free = 0;
  while (taken.includes(free)) free++;
  limits.writeBigUInt64LE(BigInt(free), 0);
  assert.equal(libc().setrlimit(RLIMIT_NOFILE, limits), 0);
  try {
    for (let round = 0; round < 200 && errors.length === 0; round++) await systemClock.sleep(5);
    assert.match(errors[0] ?? "none", /^listen 0 in the node: too many open files$/);
  } finally {
    limits.writeBigUInt64LE(before, 0);
    assert.equal(libc().setrlimit(RLIMIT_NOFILE, limits), 0);
  }
  (await accepted.promise).close();
  client.destroy();
  await listener.close();
});

test("ten thousand connections leave no descriptor, also where numbers are used again at once", async () => {
  const server = await nodeServer((socket) => {
    socket.on("error", () => undefined);
    socket.resume().end("x");
  });
  const destination = { ip: loopback, port: server.port };
  const round = async (): Promise<void> => {
    const connection = await network.connectTcp({ destination, timeoutMs: 5000 });
    await nextReady(connection);
    connection.close();
  };
  await round();
  const before = descriptors();
  for (let i = 0; i < 500; i++) await Promise.all(Array.from({ length: 20 }, round));
  await systemClock.sleep(50);
  assert.ok(descriptors() <= before + 25, `${descriptors()} descriptors, ${before} before`);
  server.close();
});

test("a listener that is closed takes nothing more, and what it took lives on", async () => {
  const accepted = deferred<TcpConnection>();
  const listener = await network.acceptTcp(listenAny, accepted.resolve);
  const client = await dial(listener.port);
  const connection = await accepted.promise;
  await listener.close();
  await assert.rejects(once(connect({ host: "127.0.0.1", port: listener.port }), "connect"));
  connection.send(Buffer.from("still here"), false);
  const [chunk] = (await once(client, "data")) as [Buffer];
  assert.equal(chunk.toString(), "still here");
  connection.close();
  client.destroy();
});

/** Three connections become readable in one round; whoever serves the first one fails. */
const defective = `
import { createServer } from "node:net";
import { once } from "node:events";
import { hostNetwork } from "${new URL("../../../src/shared/os/pod-network.ts", import.meta.url).href}";
import { systemClock } from "${new URL("../../../src/shared/base/clock.ts", import.meta.url).href}";
const said = [];
process.on("uncaughtException", ({ message }) => said.push(message));
const sockets = [];
const server = createServer((socket) => sockets.push(socket.on("error", () => undefined)));
await once(server.listen(0, "127.0.0.1"), "listening");
const destination = { ip: "127.0.0.1", port: server.address().port };
for (const name of ["first", "second", "third"]) {
  const connection = await hostNetwork(systemClock).connectTcp({ destination, timeoutMs: 5000 });
  connection.watch({
    ready: () => {
      connection.close();
      if (name === "first") throw new Error("defect");
      Promise.resolve().then(() => said.push(name));
    },
  });
}
while (sockets.length < 3) await systemClock.sleep(5);
for (const socket of sockets) socket.end("x");
server.close(() => console.log(said.sort().join(" ")));
`;

test("a defect on one connection leaves the others of the round their events", () => {
  const words = ["--input-type=module", "--no-warnings", "-e", defective];
  const said = execFileSync(process.execPath, words, { encoding: "utf8", timeout: 20_000 });
  assert.equal(said, "defect second third\n");
});
