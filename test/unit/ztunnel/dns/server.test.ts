import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { after, describe, it, type TestContext } from "node:test";
import { defaultForwardLimits } from "../../../../src/ztunnel/dns/forward.ts";
import { FrameReader, frame } from "../../../../src/ztunnel/dns/framing.ts";
import type { DnsServerDeps, DnsServerSettings } from "../../../../src/ztunnel/dns/server.ts";
import {
  askUdp,
  type Behavior,
  decode,
  FakeNameserver,
  headless,
  query,
  reply,
  startServer,
  type,
  view,
} from "./fixture.ts";

async function running(
  t: TestContext,
  behavior?: Behavior,
  settings: Partial<DnsServerSettings> = {},
  deps: Partial<DnsServerDeps> = {},
) {
  const upstream = await FakeNameserver.start(behavior);
  const fixture = await startServer(
    {
      view,
      resolver: () => ({ nameservers: [upstream.address], searchDomains: [] }),
      ...deps,
    },
    settings,
  );
  t.after(async () => {
    fixture.server.stop();
    await upstream.stop();
  });
  return { ...fixture, upstream, port: fixture.server.port };
}

async function ask(port: number, packet: Uint8Array, address?: string) {
  const response = await askUdp(port, packet, address);
  assert.ok(response, "no answer");
  return decode(response);
}

/** A TCP client that collects messages. */
class TcpClient {
  readonly received: Uint8Array[] = [];
  readonly socket: Socket;
  readonly ended: Promise<void>;
  #wake: (() => void) | undefined;

  constructor(t: TestContext, port: number) {
    const reader = new FrameReader();
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    t.after(() => this.socket.destroy());
    this.socket.on("data", (chunk) => {
      this.received.push(...reader.push(chunk));
      this.#wake?.();
    });
    this.ended = new Promise((resolve) => {
      this.socket.on("error", () => resolve());
      this.socket.on("end", () => resolve());
      this.socket.on("close", () => resolve());
    });
  }

  async receive(count: number): Promise<readonly Uint8Array[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.received;
  }
}

describe("DNS server", () => {
  it("answers for the mesh over UDP, in both families", async (t) => {
    const { port, upstream, metrics, lines } = await running(t);
    const four = await ask(port, query({ name: "web.NS1.svc.cluster.local" }));
    assert.deepEqual([four.aa, four.answers], [true, ["web.NS1.svc.cluster.local. A 10.96.0.7"]]);
    const six = await ask(port, query({ name: "web", type: type.AAAA }), "::1");
    assert.deepEqual(six.answers, ["web. AAAA fd00::7"]);
    assert.equal(upstream.seen.length, 0);
    assert.deepEqual(
      [...metrics.counts],
      [
        ["request A udp client v7", 1],
        ["request AAAA udp client v7", 1],
      ],
    );
    assert.match(
      lines[0] ?? "",
      /\tdebug\tdns\tdns query\tsrc\.workload="client-1" src\.namespace="ns1" query="A" domain="web\.NS1\.svc\.cluster\.local\." result="success" endpoints=1\n/,
    );
  });

  it("forwards everything else byte for byte, under an id of its own", async (t) => {
    const { port, upstream, metrics } = await running(t);
    const packet = query({
      name: "wWw.eXample.org",
      id: 0x1234,
      edns: { payload: 1400, flags: 0x8000 },
    });
    const response = await askUdp(port, packet);
    const seen = upstream.seen[0];
    assert.ok(seen);
    assert.deepEqual(seen.packet.subarray(2), packet.subarray(2));
    const expected = reply(packet);
    assert.deepEqual(response, expected);
    const labels = "A udp client v7";
    assert.deepEqual(
      [...metrics.counts],
      ["request", "upstream", "duration"].map((name) => [`${name} ${labels}`, 1]),
    );
  });

  for (const [what, packet] of [
    ["SRV of a name of ours", query({ name: "web.ns1.svc.cluster.local", type: type.SRV })],
    ["another class", query({ name: "web.ns1.svc.cluster.local", class: 3 })],
    ["UPDATE", query({ name: "zone.example", type: type.SOA, flags: 5 << 11 })],
    ["NOTIFY", query({ name: "zone.example", type: type.SOA, flags: 4 << 11 })],
  ] as const) {
    it(`forwards ${what}`, async (t) => {
      const answered = (request: Uint8Array): Uint8Array => {
        const bytes = Buffer.from(request);
        bytes[2] = (bytes[2] ?? 0) | 0x80;
        return bytes;
      };
      const { port, upstream } = await running(t, answered);
      assert.deepEqual(await askUdp(port, packet), answered(packet));
      assert.deepEqual(upstream.seen[0]?.packet.subarray(2), packet.subarray(2));
    });
  }

  it("relays NXDOMAIN", async (t) => {
    const { port } = await running(t, (packet) => reply(packet, 3));
    const got = await ask(port, query({ name: "nobody.example" }));
    assert.deepEqual([got.rcode, got.aa], [3, false]);
  });

  it("relays a truncated answer, and the client finds the whole one over TCP", async (t) => {
    const { port, upstream } = await running(t, (packet, protocol) => {
      if (protocol === "tcp") return reply(packet);
      const cut = Buffer.from(reply(packet, 0).subarray(0, packet.length));
      cut.writeUInt16BE(0x8380, 2);
      cut.writeUInt16BE(0, 6);
      return cut;
    });
    const packet = query({ name: "large.example", id: 7 });
    assert.equal((await ask(port, packet)).tc, true);
    const client = new TcpClient(t, port);
    client.socket.write(frame(packet));
    const [response] = await client.receive(1);
    assert.deepEqual(response && decode(response).answers, ["large.example. A 192.0.2.1"]);
    assert.deepEqual(upstream.seen[1]?.packet, packet);
  });

  it("truncates 74 records in a datagram, shuffled, and gives them all over TCP", async (t) => {
    const { port } = await running(t);
    const first = await ask(port, query({ name: headless }));
    const second = await ask(port, query({ name: headless }));
    assert.equal(first.tc, true);
    assert.notDeepEqual(first.answers, second.answers);
    const client = new TcpClient(t, port);
    client.socket.write(frame(query({ name: headless })));
    const [response] = await client.receive(1);
    assert.ok(response);
    const whole = decode(response);
    assert.deepEqual([whole.tc, new Set(whole.answers).size], [false, 74]);
  });

  it("refuses EDNS of another version only for names of its own", async (t) => {
    const { port } = await running(t);
    const own = await ask(port, query({ name: "web", edns: { payload: 1232, version: 1 } }));
    assert.deepEqual([own.rcode, own.opt?.extendedRcode, own.answers], [0, 1, []]);
  });

  it("answers malformed packets and responses with FORMERR, and nothing to less than an id", async (t) => {
    const { port } = await running(t);
    assert.deepEqual(
      (await askUdp(port, Buffer.of(1, 2)))?.toString("hex"),
      "010280810000000000000000",
    );
    assert.equal((await ask(port, query({ name: "a" }).subarray(0, 14))).rcode, 1);
    assert.equal((await ask(port, query({ name: "a", flags: 0x8180 }))).rcode, 1);
    assert.equal(await askUdp(port, Buffer.of(1), "127.0.0.1", 100), undefined);
  });

  it("never talks to itself", async (t) => {
    const { port, lines } = await running(t);
    const forger = createSocket("udp4");
    t.after(() => forger.close());
    // Another loopback address with our port stands for a forged source.
    await new Promise<void>((resolve) => forger.bind(port, "127.0.0.2", resolve));
    let answers = 0;
    forger.on("message", () => answers++);
    forger.send(query({ name: "web" }), port, "127.0.0.1");
    await ask(port, query({ name: "web" }));
    assert.equal(answers, 0);
    assert.equal(lines.length, 1);
  });

  it("is sorry while the pod's own workload is unknown", async (t) => {
    for (const client of [() => undefined, () => Promise.reject(new Error("no such workload"))]) {
      const { port, metrics } = await running(t, undefined, {}, { client });
      assert.equal((await ask(port, query({ name: "web" }))).rcode, 2);
      assert.deepEqual([...metrics.counts], [["request A udp unknown unknown", 1]]);
    }
  });

  it("answers SERVFAIL when no nameserver answers in time", async (t) => {
    const limits = { ...defaultForwardLimits, timeoutMs: 60 };
    const { port, upstream, metrics, lines } = await running(t, () => undefined, {
      forwardLimits: limits,
    });
    const packet = query({ name: "www.Example.org", edns: { payload: 1232 } });
    const got = await ask(port, packet);
    assert.deepEqual([got.rcode, got.question, got.opt?.payload], [2, "www.Example.org. 1", 1232]);
    assert.equal(upstream.seen.length, 2);
    assert.equal(metrics.counts.get("failure A udp client v7"), 1);
    assert.match(lines[0] ?? "", /result="forwarding failed \(timed out \(127\.0\.0\.1:\d+\)\)"/);
  });

  it("notices at once that nobody listens at the nameserver", async (t) => {
    const gone = await FakeNameserver.start();
    await gone.stop();
    const resolver = () => ({ nameservers: [gone.address], searchDomains: [] });
    const { port } = await running(t, undefined, {}, { resolver });
    const startMs = performance.now();
    assert.equal((await ask(port, query({ name: "www.example.org" }))).rcode, 2);
    assert.ok(performance.now() - startMs < 2000);
  });

  it("drops forged answers and takes the true one", async (t) => {
    const { port } = await running(t, async (packet) => packet);
    const { port: forgedPort, upstream } = await running(t, () => undefined);
    upstream.behavior = (packet) => {
      const other = query({ name: "evil.example" });
      packet.subarray(0, 2).forEach((byte, index) => {
        other[index] = byte;
      });
      return reply(other);
    };
    const limits = askUdp(forgedPort, query({ name: "www.example.org" }), "127.0.0.1", 300);
    assert.equal(await limits, undefined);
    // A query that comes back unanswered is no answer either.
    assert.equal(
      await askUdp(port, query({ name: "www.example.org" }), "127.0.0.1", 300),
      undefined,
    );
  });

  it("changes its source port as it goes", async (t) => {
    const { port, upstream } = await running(t);
    for (let index = 0; index < 200; index++)
      await ask(port, query({ name: "www.example.org", id: index }));
    assert.ok(new Set(upstream.seen.map((seen) => seen.port)).size >= 4);
    assert.ok(new Set(upstream.seen.map(({ packet }) => packet.readUInt16BE(0))).size > 150);
  });

  it("stays within its bounds under thousands of queries at once", async (t) => {
    let open = 0;
    let most = 0;
    const { port, server } = await running(
      t,
      async (packet) => {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setTimeout(resolve, 5));
        open--;
        return reply(packet);
      },
      { forwardLimits: { ...defaultForwardLimits, maxInFlight: 100 } },
    );
    const total = 3000;
    const clientSocket = createSocket("udp4");
    t.after(() => clientSocket.close());
    await new Promise<void>((resolve) => clientSocket.bind(0, "127.0.0.1", resolve));
    clientSocket.setRecvBufferSize(1 << 22);
    const answered = new Set<number>();
    clientSocket.on("message", (response) => answered.add(response.readUInt16BE(0)));
    // What the kernel drops in a burst is asked again, as any client does.
    for (let round = 0; round < 20 && answered.size < total; round++) {
      for (let id = 0; id < total; id++)
        if (!answered.has(id))
          clientSocket.send(query({ name: "www.example.org", id }), port, "127.0.0.1");
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    assert.equal(answered.size, total);
    assert.ok(most <= 100, `${most} at once`);
    await server.drain(1000);
  });
});

describe("DNS server over TCP", () => {
  it("answers pipelined queries however they are cut, and after the client's FIN", async (t) => {
    const { port } = await running(t);
    const client = new TcpClient(t, port);
    const packets = Array.from({ length: 300 }, (_, id) =>
      query({ name: id % 2 ? "web" : "www.example.org", id }),
    );
    const stream = Buffer.concat(packets.map(frame));
    for (let at = 0; at < stream.length; at += 997)
      client.socket.write(stream.subarray(at, at + 997));
    client.socket.end();
    await client.ended;
    const ids = new Set(client.received.map((response) => decode(response).id));
    assert.equal(ids.size, 300);
  });

  it("closes a connection that is idle, or that trickles", async (t) => {
    const timers: (() => void)[] = [];
    const { systemClock } = await import("../../../../src/shared/base/clock.ts");
    const after5s = (delayMs: number, fire: () => void) => {
      if (delayMs === 5000) timers.push(fire);
      return systemClock.after(delayMs, fire);
    };
    const { port } = await running(t, undefined, {}, { clock: { ...systemClock, after: after5s } });
    const client = new TcpClient(t, port);
    client.socket.write(Buffer.of(0));
    while (timers.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    timers.at(-1)?.();
    await client.ended;
  });

  it("closes a connection that carries something else", async (t) => {
    const { port } = await running(t);
    const client = new TcpClient(t, port);
    client.socket.write(Buffer.of(0, 1, 0x47));
    await client.ended;
    assert.equal(client.received.length, 0);
  });

  it("holds no more than its number of connections", async (t) => {
    const { port } = await running(t);
    const clients = Array.from({ length: 257 }, () => new TcpClient(t, port));
    await Promise.race(clients.map(({ ended }) => ended));
  });
});

describe("DNS server life", () => {
  it("drains: open queries are answered, then the port is free", async (t) => {
    const { port, server, upstream } = await running(t, async (packet) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return reply(packet);
    });
    const open = askUdp(port, query({ name: "www.example.org" }));
    const overTcp = new TcpClient(t, port);
    overTcp.socket.write(frame(query({ name: "www.example.org" })));
    while (upstream.seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await server.drain(2000);
    assert.ok(await open);
    await overTcp.ended;
    assert.equal(overTcp.received.length, 1);
    const again = await startServer({ view }, { port });
    again.server.stop();
  });

  it("gives up draining at the deadline", async (t) => {
    const { port, server, upstream } = await running(t, () => undefined);
    const open = askUdp(port, query({ name: "www.example.org" }), "127.0.0.1", 600);
    while (upstream.seen.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    const startMs = performance.now();
    await server.drain(50);
    assert.ok(performance.now() - startMs < 500);
    assert.equal(await open, undefined);
  });

  it("shares its port with a successor, or refuses, as it is told", async (t) => {
    const { port } = await running(t, undefined, { reusePort: true });
    const successor = await startServer({ view }, { port, reusePort: true });
    successor.server.stop();
    await assert.rejects(startServer({ view }, { port, reusePort: false }), /EADDRINUSE|in use/);
  });

  it("does without IPv6 when told so", async (t) => {
    const { port } = await running(t, undefined, { ipv6Enabled: false });
    assert.deepEqual((await ask(port, query({ name: "web", type: type.AAAA }))).answers, []);
    assert.equal(await askUdp(port, query({ name: "web" }), "::1", 200), undefined);
  });
});

// Sockets close on the loop's next turns; after them nothing may be left.
after(async () => {
  const left = () =>
    process.getActiveResourcesInfo().filter((name) => /UDP|TCPServer|TCPSocket/.test(name));
  for (let turn = 0; turn < 100 && left().length > 0; turn++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(left(), []);
});
