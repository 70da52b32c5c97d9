import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { TLSSocket, connect as tlsConnect, createServer as tlsServer } from "node:tls";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { tunnelAsDuplex } from "../../../../src/shared/hbone/duplex.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import type { FlowEndpoint, TunnelStream } from "../../../../src/shared/hbone/tunnel.ts";
import {
  openingOf,
  openTransport,
  type Transport,
  type TransportClose,
  type TransportReader,
} from "../../../../src/waypoint/http/transport.ts";
import { neverAborts, socketPair, testKeyPair, tlsPair } from "../../../support/hbone.ts";
import { sessionPair } from "../../../support/session-pair.ts";

interface Ends {
  readonly near: FlowEndpoint;
  readonly far: FlowEndpoint;
  close(): Promise<void>;
}

async function tunnels(): Promise<Ends> {
  let accepted: ((stream: TunnelStream) => void) | undefined;
  const arrived = new Promise<TunnelStream>((resolve) => {
    accepted = resolve;
  });
  const pair = await sessionPair((tunnel) => accepted?.(tunnel.accept([])));
  const answer = await pair.client.connect({ authority: "10.0.0.1:80", headers: [] }, neverAborts);
  assert.equal(answer.kind, "open");
  if (answer.kind !== "open") throw new Error("refused");
  return { near: answer.stream, far: await arrived, close: () => pair.close() };
}

async function plainSockets(): Promise<Ends> {
  const pair = await socketPair();
  return {
    ...pair,
    close: async () => {
      pair.near.destroy();
      pair.far.destroy();
    },
  };
}

async function tlsSockets(): Promise<Ends> {
  const pair = await tlsPair();
  return {
    near: pair.client,
    far: pair.server,
    close: async () => {
      pair.client.destroy();
      pair.server.destroy();
    },
  };
}

async function tlsInTunnel(): Promise<Ends> {
  const outer = await tunnels();
  const { near, far } = outer;
  if (near instanceof TLSSocket || far instanceof TLSSocket) throw new Error("unreachable");
  if (!("kind" in near) || !("kind" in far)) throw new Error("unreachable");
  const listener = tlsServer({ ...testKeyPair() });
  const accepted = once(listener, "secureConnection");
  listener.emit("connection", tunnelAsDuplex(far));
  const client = tlsConnect({ socket: tunnelAsDuplex(near), rejectUnauthorized: false });
  const [[server]] = (await Promise.all([accepted, once(client, "secureConnect")])) as [
    [TLSSocket],
    unknown,
  ];
  return {
    near: client,
    far: server,
    close: async () => {
      client.destroy();
      server.destroy();
      await outer.close();
    },
  };
}

/** Collects what comes; `wants` says whether it asks for a pause. */
class Collector implements TransportReader {
  readonly transport: Transport;
  bytes = Buffer.alloc(0);
  calls = 0;
  writableCalls = 0;
  hasEnded = false;
  close: TransportClose | undefined;
  wants = true;
  #wake: () => void = () => undefined;

  constructor(endpoint: FlowEndpoint) {
    this.transport = openTransport(openingOf(endpoint), systemClock);
  }

  received(bytes: Buffer, start: number, end: number): boolean {
    this.calls++;
    this.bytes = Buffer.concat([this.bytes, bytes.subarray(start, end)]);
    this.#wake();
    return this.wants;
  }

  ended(): void {
    this.hasEnded = true;
    this.#wake();
  }

  writable(): void {
    this.writableCalls++;
    this.#wake();
  }

  closed(close: TransportClose): void {
    assert.equal(this.close, undefined, "closed twice");
    this.close = close;
    this.#wake();
  }

  send(text: string): boolean {
    const room = Buffer.alloc(9);
    const bytes = Buffer.concat([room, Buffer.from(text)]);
    return this.transport.write(bytes, 9, bytes.length, true);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const kinds: Readonly<Record<string, () => Promise<Ends>>> = {
  "an HBONE tunnel": tunnels,
  "a plain socket": plainSockets,
  "a TLS socket": tlsSockets,
  "TLS inside a tunnel": tlsInTunnel,
};

for (const [name, make] of Object.entries(kinds)) {
  describe(`a transport over ${name}`, { timeout: 20_000 }, () => {
    test("carries octets, a half-close each way, then closes cleanly", async () => {
      const ends = await make();
      const near = new Collector(ends.near);
      const far = new Collector(ends.far);
      near.transport.start(near);
      far.transport.start(far);
      near.send("question");
      near.transport.end();
      await far.until(() => far.hasEnded);
      assert.equal(far.bytes.toString(), "question");
      assert.equal(near.close, undefined);
      far.transport.write(Buffer.from("xxanswerxx"), 2, 8, false);
      far.transport.close();
      await Promise.all([
        near.until(() => near.hasEnded),
        far.until(() => far.close !== undefined),
      ]);
      assert.equal(near.bytes.toString(), "answer");
      near.transport.close();
      await near.until(() => near.close !== undefined);
      assert.deepEqual([near.close, far.close], [{ kind: "clean" }, { kind: "clean" }]);
      await ends.close();
    });

    test("holds a writer back while the reader pauses, and loses nothing", async () => {
      const ends = await make();
      const near = new Collector(ends.near);
      const far = new Collector(ends.far);
      near.transport.start(near);
      far.wants = false;
      far.transport.start(far);
      const block = Buffer.alloc(256 * 1024 + 9, "b");
      let sent = 0;
      // Stops when nothing moves any more: the peer reads nothing.
      for (let stalled = 0; stalled < 5; ) {
        const before = near.writableCalls;
        if (near.transport.write(block, 9, block.length, false)) stalled = 0;
        else await new Promise((resolve) => setTimeout(resolve, 20));
        sent += block.length - 9;
        if (near.writableCalls === before) stalled++;
        assert.ok(sent < 64 * 1024 * 1024, "no back-pressure");
      }
      assert.equal(far.calls, 1, "nothing comes during a pause");
      far.wants = true;
      far.transport.resume();
      near.transport.end();
      await far.until(() => far.hasEnded);
      assert.equal(far.bytes.length, sent);
      near.transport.reset();
      far.transport.reset();
      await ends.close();
    });

    test("a reset is seen as a break", async () => {
      const ends = await make();
      const near = new Collector(ends.near);
      const far = new Collector(ends.far);
      near.transport.start(near);
      far.transport.start(far);
      near.send("half a mess");
      await far.until(() => far.bytes.length > 0);
      near.transport.reset();
      await Promise.all([
        near.until(() => near.close !== undefined),
        far.until(() => far.close !== undefined || far.hasEnded),
      ]);
      far.transport.reset();
      await far.until(() => far.close !== undefined);
      await ends.close();
    });
  });
}

test("a close drops what still comes and ends although the peer never closes", async () => {
  const ends = await tunnels();
  const near = new Collector(ends.near);
  const far = new Collector(ends.far);
  near.transport.start(near);
  far.transport.start(far);
  near.send("go away");
  near.transport.close();
  far.send("I am not done");
  await far.until(() => far.hasEnded);
  await near.until(() => near.close !== undefined);
  assert.equal(near.bytes.length, 0);
  far.transport.close();
  await far.until(() => far.close !== undefined);
  await ends.close();
  assert.equal(slabsInUse(), 0);
});

test("what was read before comes first", async () => {
  const { near, far } = await socketPair();
  const opening = openingOf(near);
  const room = Buffer.alloc(9);
  const readBefore = { bytes: Buffer.concat([room, Buffer.from("GET ")]), ended: false };
  const collector = new Collector(far);
  collector.transport.start(collector);
  collector.send("/ HTTP/1.1");
  const transport = openTransport({ port: opening.port, readBefore }, systemClock);
  let text = "";
  await new Promise<void>((resolve) => {
    transport.start({
      received: (bytes, start, end) => {
        text += bytes.toString("latin1", start, end);
        if (text.endsWith("HTTP/1.1")) resolve();
        return true;
      },
      ended: () => undefined,
      writable: () => undefined,
      closed: () => undefined,
    });
  });
  assert.equal(text, "GET / HTTP/1.1");
  transport.reset();
  collector.transport.reset();
});
