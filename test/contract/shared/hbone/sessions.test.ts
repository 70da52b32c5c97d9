/** Life and death of a session: PINGs, drain, the fallback reads, and TLS inside a tunnel. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { TLSSocket, connect as tlsConnect } from "node:tls";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { openHboneClient } from "../../../../src/shared/hbone/client.ts";
import { tunnelAsDuplex } from "../../../../src/shared/hbone/duplex.ts";
import { serveHbone } from "../../../../src/shared/hbone/server.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import { defaultHboneSettings, type TunnelStream } from "../../../../src/shared/hbone/tunnel.ts";
import { FakeClock } from "../../../support/clock.ts";
import {
  acceptTo,
  echoServer,
  neverAborts,
  portOf,
  RawPeer,
  rawFrame,
  rawPreface,
  testKeyPair,
  tlsPair,
} from "../../../support/hbone.ts";
import { sessionPair } from "../../../support/session-pair.ts";

const done = new MeshError("drained", "test is over");

describe("PING", () => {
  test("a client drops a connection whose peer does not answer", async () => {
    const { client, server } = await tlsPair();
    const peer = new RawPeer(server, rawPreface.length);
    server.write(rawFrame(4, 0, 0));
    const clock = new FakeClock();
    const session = await openHboneClient(client, defaultHboneSettings("client"), clock);
    await clock.advance(10_000);
    const ping = await peer.find((frame) => frame.type === 6);
    server.write(rawFrame(6, 1, 0, ping.payload));
    await delay(30);
    await clock.advance(10_000);
    await peer.find((frame) => frame.type === 6 && !frame.payload.equals(ping.payload));
    await clock.advance(19_000);
    assert.equal(session.usable, true);
    await clock.advance(1_000);
    assert.equal(session.usable, false);
    await session.closed;
  });

  test("a server says GOAWAY NO_ERROR and closes", async () => {
    const { client, server } = await tlsPair();
    const clock = new FakeClock();
    const session = serveHbone(server, defaultHboneSettings("server"), clock, () => undefined);
    const peer = new RawPeer(client);
    client.write(Buffer.concat([rawPreface, rawFrame(4, 0, 0)]));
    await peer.find((frame) => frame.type === 4 && frame.flags === 1);
    await clock.advance(30_000);
    await clock.advance(1);
    assert.equal(await peer.goAwayCode(), 0);
    await session.closed;
    assert.equal(slabsInUse(), 0);
  });
});

describe("the handshake", () => {
  test("fails when the peer closes first", async () => {
    const { client, server } = await tlsPair();
    const opening = openHboneClient(client, defaultHboneSettings("client"), systemClock);
    server.destroy();
    await assert.rejects(opening, { code: "h2-handshake-failed" });
  });

  test("fails on a socket that is closed already", async () => {
    const { client, server } = await tlsPair();
    client.destroy();
    await once(client, "close");
    const opening = openHboneClient(client, defaultHboneSettings("client"), systemClock);
    await assert.rejects(opening, { code: "h2-handshake-failed" });
    server.destroy();
  });

  test("ends with the signal", async () => {
    const { client, server } = await tlsPair();
    const controller = new AbortController();
    const settings = defaultHboneSettings("client");
    const opening = openHboneClient(client, settings, systemClock, controller.signal);
    controller.abort(new Error("enough"));
    await assert.rejects(opening, /enough/);
    server.destroy();
  });
});

describe("drain", () => {
  test("of a server: a request on its way is still taken, the next one is not", async () => {
    const { client, server } = await tlsPair();
    const asked: string[] = [];
    const session = serveHbone(server, defaultHboneSettings("server"), systemClock, (tunnel) => {
      asked.push(tunnel.authority);
      tunnel.refuse(503);
    });
    const peer = new RawPeer(client);
    const block = (authority: string): Buffer =>
      Buffer.from(
        `020743 4f4e4e454354 01${authority.length.toString(16).padStart(2, "0")}${Buffer.from(authority).toString("hex")}`.replace(
          / /g,
          "",
        ),
        "hex",
      );
    client.write(Buffer.concat([rawPreface, rawFrame(4, 0, 0)]));
    await peer.find((frame) => frame.type === 4 && frame.flags === 1);
    session.drain();
    const first = await peer.find((frame) => frame.type === 7);
    assert.equal(first.payload.readUInt32BE(0), 2 ** 31 - 1);
    const ping = await peer.find((frame) => frame.type === 6);
    client.write(
      Buffer.concat([rawFrame(1, 4, 1, block("late:1")), rawFrame(6, 1, 0, ping.payload)]),
    );
    const second = await peer.find((frame) => frame.type === 7 && frame !== first);
    assert.equal(second.payload.readUInt32BE(0), 1);
    client.write(rawFrame(1, 4, 3, block("too-late:1")));
    await session.closed;
    assert.deepEqual(asked, ["late:1"]);
  });

  test("of a client: open tunnels go on", async () => {
    const echo = await echoServer();
    const pair = await sessionPair(acceptTo(portOf(echo)));
    const answer = await pair.client.connect({ authority: "a:1", headers: [] }, neverAborts);
    assert.ok(answer.kind === "open");
    const duplex = tunnelAsDuplex(answer.stream);
    pair.client.drain();
    assert.equal(pair.client.usable, false);
    duplex.end("after");
    const chunks: Buffer[] = [];
    for await (const chunk of duplex) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString(), "after");
    await Promise.all([pair.client.closed, pair.server.closed]);
    echo.close();
  });
});

describe("a request that nobody waits for", () => {
  test("aborts `gone`; an answer given too late is harmless", async () => {
    let gone: AbortSignal | undefined;
    let late: (() => void) | undefined;
    const pair = await sessionPair((tunnel) => {
      gone = tunnel.gone;
      late = () => tunnel.accept([]).reset(8);
    });
    const controller = new AbortController();
    const asked = pair.client.connect({ authority: "a:1", headers: [] }, controller.signal);
    while (gone === undefined) await delay(2);
    controller.abort(new Error("gone"));
    await assert.rejects(asked);
    while (!gone.aborted) await delay(2);
    late?.();
    assert.equal(pair.server.openStreams, 0);
    await pair.close();
  });
});

/** Writes more than the windows take; whoever resets the stream ends it. */
function fill(stream: TunnelStream): void {
  const duplex = tunnelAsDuplex(stream);
  duplex.on("error", () => duplex.destroy());
  duplex.write(Buffer.alloc(200_000));
}

test("readers that stall use up the session's window: it is congested, until they go", async () => {
  const small = { streamWindowBytes: 50_000, connectionWindowBytes: 65_535 };
  const pair = await sessionPair(
    (tunnel) => {
      const stream = tunnel.accept([]);
      if (tunnel.authority === "sends:1") fill(stream);
    },
    { client: small, server: small },
  );
  const open = async (authority: string): Promise<TunnelStream> => {
    const answer = await pair.client.connect({ authority, headers: [] }, neverAborts);
    assert.ok(answer.kind === "open");
    return answer.stream;
  };
  const becomes = async (congested: boolean): Promise<void> => {
    for (let round = 0; round < 500 && pair.client.congested !== congested; round++) await delay(5);
    assert.equal(pair.client.congested, congested);
  };
  assert.equal(pair.client.congested, false);
  // Nobody takes what these bring.
  const downloads = [await open("sends:1"), await open("sends:1")];
  await becomes(true);
  for (const stream of downloads) stream.reset(8);
  await becomes(false);
  const uploads = [await open("stalls:1"), await open("stalls:1")];
  uploads.forEach(fill);
  await becomes(true);
  // Not CANCEL: that reads as the end, and what came before would still wait for a reader.
  for (const stream of uploads) stream.reset(10);
  await becomes(false);
  await pair.close();
  assert.equal(slabsInUse(), 0);
});

test("TLS inside a tunnel, and HTTP/2 inside that", async () => {
  const echo = await echoServer();
  const outer = await sessionPair((tunnel) => {
    const inner = new TLSSocket(tunnelAsDuplex(tunnel.accept([])) as never, {
      isServer: true,
      ...testKeyPair(),
      ALPNProtocols: ["h2"],
    });
    inner.once("secure", () =>
      serveHbone(inner, defaultHboneSettings("server"), systemClock, acceptTo(portOf(echo))),
    );
  });
  const answer = await outer.client.connect({ authority: "gw:1", headers: [] }, neverAborts);
  assert.ok(answer.kind === "open");
  const socket = tunnelAsDuplex(answer.stream);
  const tls = tlsConnect({ socket, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  await once(tls, "secureConnect");
  const inner = await openHboneClient(tls, defaultHboneSettings("client"), systemClock);
  const tunnel = await inner.connect({ authority: "a:1", headers: [] }, neverAborts);
  assert.ok(tunnel.kind === "open");
  const duplex = tunnelAsDuplex(tunnel.stream);
  const sent = randomBytes(3_000_000);
  duplex.end(sent);
  const chunks: Buffer[] = [];
  for await (const chunk of duplex) chunks.push(chunk);
  assert.ok(Buffer.concat(chunks).equals(sent));
  inner.drain();
  await inner.closed;
  await outer.close();
  echo.close();
  assert.equal(slabsInUse(), 0);
  outer.client.destroy(done);
});
