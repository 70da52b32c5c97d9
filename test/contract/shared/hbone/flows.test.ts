/** Flows over real sessions: every byte arrives, half-close stays half-close, a stalled reader holds memory down, and nothing remains. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { joinFlow } from "../../../../src/shared/hbone/flow.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import type { Flow, FlowEnd } from "../../../../src/shared/hbone/tunnel.ts";
import {
  acceptTo,
  bareConnections,
  type Ends,
  echoServer,
  neverAborts,
  nodeSockets,
  portOf,
} from "../../../support/hbone.ts";
import { type PairOptions, type SessionPair, sessionPair } from "../../../support/session-pair.ts";

interface Mesh {
  readonly pair: SessionPair;
  /** A connection of a client, through both proxies, to the application. */
  open(): Promise<{ socket: Socket; flow: Flow }>;
  readonly serverFlows: Flow[];
  close(): Promise<void>;
}

/** client socket - flow - session - flow - application. */
async function mesh(ends: Ends, app: Server, options: PairOptions = {}): Promise<Mesh> {
  const serverFlows: Flow[] = [];
  const accept = acceptTo(portOf(app), [], (flow) => serverFlows.push(flow), ends);
  const pair = await sessionPair(accept, options);
  const open: Mesh["open"] = async () => {
    const { near, far } = await ends.pair();
    const answer = await pair.client.connect({ authority: "a:1", headers: [] }, neverAborts);
    assert.ok(answer.kind === "open");
    return { socket: far, flow: joinFlow(near, answer.stream) };
  };
  const close = async (): Promise<void> => {
    await pair.close();
    app.close();
    await until(() => slabsInUse() === 0, "blocks given back");
  };
  return { pair, open, serverFlows, close };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let round = 0; round < 500; round++) {
    if (condition()) return;
    await delay(10);
  }
  assert.fail(`not in time: ${what}`);
}

/** Octets that differ along the stream and from stream to stream. */
function pattern(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed + 1) * 2_654_435_761;
  for (let at = 0; at < length; at += 64) {
    state = (state * 1_103_515_245 + 12_345) >>> 0;
    bytes.fill(state & 0xff, at, Math.min(length, at + 64));
    bytes[at] = state >>> 24;
  }
  return bytes;
}

const digest = (data: Uint8Array): string => createHash("sha1").update(data).digest("hex");

async function exchange(socket: Socket, sent: Buffer, slow: boolean): Promise<string> {
  const hash = createHash("sha1");
  socket.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    if (!slow || Math.random() > 0.02) return;
    socket.pause();
    setTimeout(() => socket.resume(), 3);
  });
  const ended = once(socket, "end");
  socket.end(sent);
  await ended;
  return hash.digest("hex");
}

async function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, onConnection);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

const sizes = [0, 1, 9, 1000, 16_384, 65_537, 300_000, 1_000_000, 4_000_000];

for (const ends of [nodeSockets, bareConnections])
  describe(ends.name, () => {
    describe("integrity", () => {
      test("64 flows at once, sizes from 0 to 80 MB, every third with a slow reader", async () => {
        const through = await mesh(ends, await echoServer());
        const jobs = Array.from({ length: 64 }, async (_, index) => {
          const size = index === 0 ? 80_000_000 : (sizes[index % sizes.length] ?? 0);
          const { socket, flow } = await through.open();
          const sent = pattern(index, size);
          assert.equal(
            await exchange(socket, sent, index % 3 === 1),
            digest(sent),
            `flow ${index}`,
          );
          assert.deepEqual(await flow.done, {});
          assert.equal(flow.sent, size);
          assert.equal(flow.received, size);
        });
        await Promise.all(jobs);
        assert.equal(through.pair.client.openStreams, 0);
        assert.equal(through.pair.server.openStreams, 0);
        await through.close();
      });

      test("tiny windows and frames", async () => {
        const tiny = {
          streamWindowBytes: 700,
          connectionWindowBytes: 65_535,
          maxFrameBytes: 16_384,
        };
        const through = await mesh(ends, await echoServer(), { client: tiny, server: tiny });
        const jobs = Array.from({ length: 8 }, async (_, index) => {
          const { socket } = await through.open();
          const sent = pattern(index, 40_000 + index);
          assert.equal(await exchange(socket, sent, false), digest(sent));
        });
        await Promise.all(jobs);
        await through.close();
      });

      test("the application speaks first, and closes first", async () => {
        const app = await listen((socket) => socket.end("220 welcome\r\n"));
        const through = await mesh(ends, app);
        const { socket, flow } = await through.open();
        const [greeting] = await once(socket, "data");
        assert.equal(String(greeting), "220 welcome\r\n");
        await once(socket, "end");
        socket.end();
        assert.deepEqual(await flow.done, {});
        await through.close();
      });

      test("half-close: the answer comes after the request has ended", async () => {
        const app = await listen((socket) => {
          let count = 0;
          socket.on("data", (chunk: Buffer) => {
            count += chunk.length;
          });
          socket.on("end", () => setTimeout(() => socket.end(`got ${count}`), 50));
        });
        const through = await mesh(ends, app);
        const { socket } = await through.open();
        socket.end(Buffer.alloc(100_000));
        const [answer] = await once(socket, "data");
        assert.equal(String(answer), "got 100000");
        await through.close();
      });

      test("without a session: socket to socket", async () => {
        const echo = await echoServer();
        const [front, back] = [await ends.pair(), await ends.dial(portOf(echo))];
        const flow = joinFlow(front.near, back);
        const sent = pattern(7, 20_000_000);
        assert.equal(await exchange(front.far, sent, true), digest(sent));
        assert.deepEqual(await flow.done, {});
        echo.close();
      });
    });

    describe("breaks", () => {
      test("a reset of the client reaches the application as a reset and counts as a clean end", async () => {
        let seen: NodeJS.ErrnoException | undefined;
        const app = await listen((socket) => {
          socket.on("error", (error: NodeJS.ErrnoException) => {
            seen = error;
          });
          socket.resume();
        });
        const through = await mesh(ends, app);
        const { socket, flow } = await through.open();
        socket.write("x");
        await until(() => through.serverFlows.length === 1, "accepted");
        await delay(20);
        socket.resetAndDestroy();
        assert.deepEqual(await flow.done, {});
        await until(() => seen !== undefined, "reset at the application");
        assert.equal(seen?.code, "ECONNRESET");
        assert.deepEqual(await through.serverFlows[0]?.done, {});
        await through.close();
      });

      test("abort ends both sides with the error", async () => {
        const through = await mesh(ends, await echoServer());
        const { socket, flow } = await through.open();
        socket.on("error", () => undefined);
        await until(() => through.serverFlows.length === 1, "accepted");
        const serverFlow = through.serverFlows[0];
        serverFlow?.abort(
          new MeshError("policy-changed", "connection closed due to policy change"),
        );
        const end: FlowEnd | undefined = await serverFlow?.done;
        assert.equal(end?.error?.code, "policy-changed");
        assert.deepEqual(await flow.done, {});
        await until(() => socket.destroyed, "client cut");
        await through.close();
      });

      test("abort also ends a flow whose one end has closed while the other does not read", async () => {
        const readers: Socket[] = [];
        const app = await listen((socket) => {
          socket.on("error", () => undefined);
          readers.push(socket.pause());
        });
        const through = await mesh(ends, app);
        const { socket } = await through.open();
        socket.on("error", () => undefined);
        await until(() => through.serverFlows.length === 1, "accepted");
        socket.write(Buffer.alloc(3_000_000));
        await delay(50);
        // CANCEL reads as the end of the stream; what came before still waits for the application.
        socket.resetAndDestroy();
        await delay(50);
        const flow = through.serverFlows[0];
        flow?.abort(new MeshError("drained", "deadline"));
        await flow?.done;
        for (const reader of readers) reader.destroy();
        await through.close();
      });

      test("the session breaks: every flow ends with the error, nothing remains", async () => {
        const app = await echoServer();
        const through = await mesh(ends, app);
        const opened = await Promise.all(Array.from({ length: 10 }, () => through.open()));
        for (const { socket } of opened) socket.on("error", () => undefined).resume();
        through.pair.client.destroy(new MeshError("h2-failed", "cut"));
        for (const { flow } of opened) assert.equal((await flow.done).error?.code, "h2-failed");
        await through.pair.client.closed;
        await through.pair.server.closed;
        for (const flow of through.serverFlows)
          assert.equal((await flow.done).error?.code, "h2-failed");
        await until(() => slabsInUse() === 0, "blocks given back");
        app.close();
      });
    });

    describe("memory", () => {
      test("a stalled reader holds the sender at the window; other tunnels go on", async () => {
        let stalled = true;
        const app = await listen((socket) => {
          socket.on("error", () => undefined);
          socket.once("data", (first: Buffer) => {
            if (first.toString("latin1", 0, 5) === "stall") {
              socket.pause();
            } else {
              socket.write(first);
              socket.pipe(socket);
            }
          });
          const timer = setInterval(() => {
            if (stalled) return;
            clearInterval(timer);
            socket.resume();
          }, 10);
          socket.on("end", () => socket.end());
        });
        const through = await mesh(ends, app);
        const { socket, flow } = await through.open();
        const before = process.memoryUsage().rss;
        const total = 200_000_000;
        socket.write("stall");
        let accepted = 5;
        const chunk = Buffer.alloc(1_000_000);
        const feeding = (async (): Promise<void> => {
          while (accepted < total) {
            if (!socket.write(chunk)) await once(socket, "drain");
            accepted += chunk.length;
          }
        })();
        await delay(700);
        const stuckAt = flow.sent;
        assert.ok(
          stuckAt < 40_000_000,
          `${stuckAt} octets went through to a reader that does not read`,
        );
        const grown = process.memoryUsage().rss - before;
        assert.ok(grown < 80_000_000, `resident memory grew by ${grown}`);
        const other = await through.open();
        other.socket.write("hello");
        const [echoed] = await once(other.socket, "data");
        assert.equal(String(echoed), "hello");
        other.socket.end();
        await other.flow.done;
        stalled = false;
        await feeding;
        socket.end();
        socket.resume();
        assert.deepEqual(await flow.done, {});
        assert.equal(flow.sent, accepted);
        await through.close();
      });

      test("2,000 tunnels opened and closed leave nothing", async () => {
        const through = await mesh(ends, await echoServer());
        for (let round = 0; round < 40; round++) {
          const jobs = Array.from({ length: 50 }, async () => {
            const { socket, flow } = await through.open();
            assert.equal(
              await exchange(socket, pattern(round, 100), false),
              digest(pattern(round, 100)),
            );
            await flow.done;
          });
          await Promise.all(jobs);
        }
        assert.equal(through.pair.client.openStreams, 0);
        await until(() => through.pair.server.openStreams === 0, "server streams gone");
        await through.close();
        const sockets = (): number =>
          process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
        await until(() => sockets() === 0, "sockets closed");
      });

      test("1,500 resets leave the other tunnels of the session alive", async () => {
        const through = await mesh(ends, await echoServer());
        const steady = await through.open();
        for (let count = 0; count < 1500; count++) {
          const controller = new AbortController();
          const asked = through.pair.client.connect(
            { authority: "a:1", headers: [] },
            controller.signal,
          );
          if (count % 2 === 0) {
            controller.abort(new Error("gone"));
            await assert.rejects(asked);
          } else {
            const answer = await asked;
            assert.ok(answer.kind === "open");
            answer.stream.reset(8);
          }
        }
        steady.socket.write("alive");
        const [echoed] = await once(steady.socket, "data");
        assert.equal(String(echoed), "alive");
        assert.equal(through.pair.client.openStreams, 1);
        steady.socket.end();
        await steady.flow.done;
        await through.close();
      });
    });
  });
