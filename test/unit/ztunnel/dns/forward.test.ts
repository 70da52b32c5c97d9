import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Clock, systemClock } from "../../../../src/shared/base/clock.ts";
import type { SocketAddress } from "../../../../src/shared/net/authority.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import type { ExchangeOutcome } from "../../../../src/ztunnel/dns/exchange.ts";
import {
  defaultForwardLimits,
  Forwarder,
  type ForwardLimits,
} from "../../../../src/ztunnel/dns/forward.ts";
import { answers } from "../../../../src/ztunnel/dns/match.ts";
import { decode, query, reply, type } from "./fixture.ts";

const one: SocketAddress = { ip: ipOf("192.0.2.1"), port: 53 };
const two: SocketAddress = { ip: ipOf("192.0.2.2"), port: 53 };

/** A forwarder whose nameservers answer as told, and the order in which they were asked. */
function fixture(
  behave: (
    server: SocketAddress,
    packet: Uint8Array,
    nth: number,
  ) => ExchangeOutcome | Promise<ExchangeOutcome>,
  nameservers: readonly SocketAddress[] = [one, two],
  limits: Partial<ForwardLimits> = {},
) {
  const asked: string[] = [];
  const closed: string[] = [];
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const forwarder = new Forwarder(
    {
      clock,
      nameservers: () => nameservers,
      exchanger: (server, protocol) => ({
        exchange: async (packet) => {
          asked.push(`${server.ip.at(-1)}${protocol}`);
          return behave(server, packet, asked.length);
        },
        close: () => closed.push(`${server.ip.at(-1)}${protocol}`),
      }),
    },
    { ...defaultForwardLimits, ...limits },
  );
  return {
    forwarder,
    asked,
    closed,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
}

const packet = query({ name: "www.example.org" });
const good = (from: Uint8Array): ExchangeOutcome => ({ kind: "response", packet: reply(from) });
const silent: ExchangeOutcome = { kind: "failed", reason: "timed out" };

describe("Forwarder", () => {
  it("asks the first nameserver, over the client's protocol", async () => {
    const { forwarder, asked } = fixture((_server, from) => good(from));
    assert.equal((await forwarder.forward(packet, "tcp")).kind, "response");
    assert.deepEqual(asked, ["1tcp"]);
  });
  it("asks the second one when the first is silent, and prefers it for a while", async () => {
    const { forwarder, asked, advance } = fixture((server, from) =>
      server === one ? silent : good(from),
    );
    assert.equal((await forwarder.forward(packet, "udp")).kind, "response");
    await forwarder.forward(packet, "udp");
    assert.deepEqual(asked, ["1udp", "2udp", "2udp"]);
    advance(10_001);
    await forwarder.forward(packet, "udp");
    assert.deepEqual(asked.slice(3), ["1udp", "2udp"]);
  });
  it("asks a single nameserver twice", async () => {
    const { forwarder, asked } = fixture(
      (_server, from, nth) => (nth === 1 ? silent : good(from)),
      [one],
    );
    assert.equal((await forwarder.forward(packet, "udp")).kind, "response");
    assert.deepEqual(asked, ["1udp", "1udp"]);
  });
  it("gives up after two attempts and says whom it asked", async () => {
    const { forwarder, asked } = fixture(() => silent);
    assert.deepEqual(await forwarder.forward(packet, "udp"), {
      kind: "failed",
      reason: "timed out (192.0.2.2:53)",
    });
    assert.equal(asked.length, 2);
  });
  it("has nobody to ask without nameservers", async () => {
    const { forwarder } = fixture(() => silent, []);
    assert.deepEqual(await forwarder.forward(packet, "udp"), {
      kind: "failed",
      reason: "no nameserver is known",
    });
  });
  it("relays NXDOMAIN at once", async () => {
    const { forwarder, asked } = fixture((_server, from) => ({
      kind: "response",
      packet: reply(from, 3),
    }));
    const outcome = await forwarder.forward(packet, "udp");
    assert.equal(outcome.kind === "response" && decode(outcome.packet).rcode, 3);
    assert.equal(asked.length, 1);
  });
  it("tries another nameserver after a refusal, and relays the refusal if that is all there is", async () => {
    const refused = (from: Uint8Array): ExchangeOutcome => ({
      kind: "response",
      packet: reply(from, 5),
    });
    const helped = fixture((server, from) => (server === one ? refused(from) : good(from)));
    const outcome = await helped.forwarder.forward(packet, "udp");
    assert.equal(outcome.kind === "response" && decode(outcome.packet).rcode, 0);
    const alone = fixture((_server, from) => refused(from), [one]);
    const relayed = await alone.forwarder.forward(packet, "udp");
    assert.equal(relayed.kind === "response" && decode(relayed.packet).rcode, 5);
    assert.equal(alone.asked.length, 1);
    const half = fixture((server, from) => (server === one ? refused(from) : silent));
    const kept = await half.forwarder.forward(packet, "udp");
    assert.equal(kept.kind === "response" && decode(kept.packet).rcode, 5);
  });
  it("bounds what is under way and lets the rest wait in line", async () => {
    let open = 0;
    let most = 0;
    const { forwarder } = fixture(
      async (_server, from) => {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setTimeout(resolve, 1));
        open--;
        return good(from);
      },
      [one],
      { maxInFlight: 8, maxWaiting: 50 },
    );
    const outcomes = await Promise.all(
      Array.from({ length: 70 }, () => forwarder.forward(packet, "udp")),
    );
    assert.equal(most, 8);
    assert.equal(outcomes.filter(({ kind }) => kind === "response").length, 58);
    assert.deepEqual(outcomes.at(-1), { kind: "failed", reason: "too many queries" });
    assert.equal(forwarder.open, 0);
  });
  it("bounds the bytes it holds, and gets them back", async () => {
    const { forwarder } = fixture((_server, from) => good(from), [one], {
      maxHeldBytes: packet.length,
    });
    const [first, second] = await Promise.all([
      forwarder.forward(packet, "udp"),
      forwarder.forward(packet, "udp"),
    ]);
    assert.deepEqual([first.kind, second.kind], ["response", "failed"]);
    assert.equal((await forwarder.forward(packet, "udp")).kind, "response");
  });
  it("does not ask for a client that has long given up", async () => {
    let release: (() => void) | undefined;
    const { forwarder, asked, advance } = fixture(
      (_server, from) =>
        new Promise((resolve) => {
          release = () => resolve(good(from));
        }),
      [one],
      { maxInFlight: 1 },
    );
    const first = forwarder.forward(packet, "udp");
    const second = forwarder.forward(packet, "udp");
    await new Promise((resolve) => setImmediate(resolve));
    advance(5000);
    release?.();
    assert.equal((await first).kind, "response");
    assert.deepEqual(await second, { kind: "failed", reason: "waited too long" });
    assert.equal(asked.length, 1);
  });
  it("closes its ways to the nameservers", async () => {
    const { forwarder, closed } = fixture((_server, from) => good(from));
    await forwarder.forward(packet, "udp");
    forwarder.close();
    assert.deepEqual(closed, ["1udp", "1tcp"]);
    assert.deepEqual(await forwarder.forward(packet, "udp"), { kind: "failed", reason: "stopped" });
  });
});

describe("answers", () => {
  const asked = query({ name: "Www.example.org", id: 1 });
  const expected = { id: 4242, query: asked };
  const response = (over: Parameters<typeof query>[0] | undefined, code = 0) =>
    reply(query({ name: "Www.example.org", id: 4242, ...over }), code);
  const cases: readonly (readonly [what: string, matches: boolean, packet: Uint8Array])[] = [
    ["id and question", true, response(undefined)],
    ["a question in other case", true, response({ name: "WWW.EXAMPLE.ORG" })],
    ["another id", false, response({ name: "Www.example.org", id: 1 })],
    ["another name", false, response({ name: "www.example.com" })],
    ["another label split", false, response({ name: "www.example.org.x" })],
    ["another type", false, response({ name: "Www.example.org", type: type.AAAA })],
    ["another class", false, response({ name: "Www.example.org", class: 3 })],
    ["a query", false, query({ name: "Www.example.org", id: 4242 })],
    [
      "an error without a question",
      true,
      Buffer.from([16, 146, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]),
    ],
    [
      "success without a question",
      false,
      Buffer.from([16, 146, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ["another operation", false, Buffer.from([16, 146, 0xa9, 0x80, 0, 0, 0, 0, 0, 0, 0, 0])],
    ["half a header", false, Buffer.from([16, 146, 0x81, 0x80])],
  ];
  for (const [what, matches, bytes] of cases)
    it(`${matches ? "takes" : "drops"} ${what}`, () =>
      assert.equal(answers(expected, bytes), matches));
  it("takes the answer to an UPDATE, whatever is in it", () => {
    const update = query({ name: "zone.example", flags: 5 << 11 });
    const answered = Buffer.from([16, 146, 0xa8, 0x05, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert.equal(answers({ id: 4242, query: update }, answered), true);
  });
});
