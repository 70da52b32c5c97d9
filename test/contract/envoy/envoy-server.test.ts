/** Our pool and client open tunnels; Envoy ends mutual TLS and CONNECT and connects to the application. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { slabsInUse } from "../../../src/shared/hbone/session/slab.ts";
import { Envoy, envoyVersion, withoutEnvoy } from "../../support/envoy.ts";
import { dial, echoServer, portOf } from "../../support/hbone.ts";
import { newRoot, newWorkload, spiffe } from "../../unit/shared/identity/pki.ts";
import { application, collect, cutByPeer, echoesAt, eventually, HboneClient } from "./endpoints.ts";
import {
  answeringInnerListener,
  innerCluster,
  plainCluster,
  smallWindows,
  terminatingListener,
} from "./resources.ts";

const root = newRoot();
const web = newWorkload(root, { uris: [spiffe("shop/web")] });
const catalog = newWorkload(root, { uris: [spiffe("shop/catalog")] });
const stranger = newWorkload(root, { uris: [spiffe("shop/stranger")] });

// Counted as skipped where Envoy is absent; a skipped suite is not.
test("Envoy is installed", { skip: withoutEnvoy }, (context) =>
  context.diagnostic(`peer: Envoy ${envoyVersion()}`),
);

describe("Envoy as the HBONE server of our client", { skip: withoutEnvoy }, () => {
  let echo: Server;
  /** Behind the listener `scripted`: what a test wants of it. */
  let app: Server;
  let onSocket: (socket: Socket) => void = () => undefined;
  let envoy: Envoy;
  const clients: HboneClient[] = [];

  const clientOf = async (
    listener: string,
    certificate = web,
    accepted = spiffe("shop/catalog"),
  ) => {
    const client = await HboneClient.listen(certificate, accepted, envoy.port(listener));
    clients.push(client);
    return client;
  };

  before(async () => {
    echo = await echoServer();
    app = await application((socket) => onSocket(socket));
    const unused = await application(() => undefined);
    const closedPort = portOf(unused);
    unused.close();
    const peer = spiffe("shop/web");
    envoy = await Envoy.start({
      listeners: [
        terminatingListener("plain", "echo", catalog, peer),
        terminatingListener("small", "echo", catalog, peer, { windows: smallWindows }),
        terminatingListener("few", "echo", catalog, peer, { maxStreams: 5 }),
        terminatingListener("worn", "echo", catalog, peer, {
          maxRequestsPerConnection: 3,
          drainTimeout: "0.1s",
        }),
        terminatingListener("draining", "echo", catalog, peer, { drainTimeout: "0.1s" }),
        terminatingListener("scripted", "app", catalog, peer),
        terminatingListener("broken", "nobody", catalog, peer),
        ...[1_000, 1_000_000].flatMap((size) => [
          terminatingListener(`answers-${size}`, `inner-${size}`, catalog, peer),
          answeringInnerListener(`inner-${size}`, size),
        ]),
      ],
      clusters: [
        plainCluster("echo", portOf(echo)),
        plainCluster("app", portOf(app)),
        plainCluster("nobody", closedPort),
        innerCluster("inner-1000"),
        innerCluster("inner-1000000"),
      ],
    });
  });

  after(async () => {
    for (const client of clients) await client.close();
    await envoy?.stop();
    echo?.close();
    app?.close();
    assert.equal(slabsInUse(), 0);
  });

  for (const size of [0, 1, 16_384, 1_000_000, 20_000_000])
    for (const listener of ["plain", "small"])
      test(`${size} bytes there and back, windows: ${listener}`, async () => {
        const client = await clientOf(listener);
        assert.ok(await echoesAt(client.port, listener === "small" ? size / 4 : size));
        await client.close();
      });

  test("the answer: 200 with its headers; 503 when Envoy cannot reach the application", async () => {
    const answer = await (await clientOf("plain")).open("10.0.0.1:80");
    assert.ok(answer.kind === "open");
    assert.equal(new Map(answer.headers).get("baggage"), "from=envoy");
    answer.stream.reset(0);
    const refused = await (await clientOf("broken")).open("10.0.0.1:80");
    assert.ok(refused.kind === "refused");
    assert.equal(refused.status, 503);
  });

  test("250 tunnels at once take three sessions of 100", async () => {
    const client = await clientOf("plain");
    const sockets = await Promise.all(Array.from({ length: 250 }, () => dial(client.port)));
    await Promise.all(
      sockets.map(async (socket, index) => {
        socket.write(`hello ${index}`);
        const [first] = (await once(socket, "data")) as [Buffer];
        assert.equal(first.toString(), `hello ${index}`);
      }),
    );
    assert.equal(client.sessions.length, 3);
    await Promise.all(
      sockets.map(async (socket, index) => {
        const sent = Buffer.alloc(50_000, `${index} `);
        socket.end(sent);
        assert.ok((await collect(socket)).equals(sent));
      }),
    );
    await eventually("no stream", () => client.sessions.every((one) => one.openStreams === 0));
  });

  test("Envoy's own limit of streams is kept: more sessions instead", async () => {
    const client = await clientOf("few");
    const sockets = await Promise.all(Array.from({ length: 12 }, () => dial(client.port)));
    for (const socket of sockets) {
      socket.write("x");
      await once(socket, "data");
    }
    assert.equal(client.sessions.length, 3);
    assert.ok(client.sessions.every(({ maxStreams }) => maxStreams === 5));
    for (const socket of sockets) socket.destroy();
  });

  test("half-close by the client: the answer comes afterwards", async () => {
    const client = await clientOf("scripted");
    onSocket = (socket) => {
      socket.on("data", () => undefined).on("end", () => socket.end("after your end"));
    };
    const socket = await dial(client.port);
    socket.end("all I have");
    assert.equal((await collect(socket)).toString(), "after your end");
    assert.deepEqual(await client.flows[0]?.done, {});
  });

  // Envoy takes the application's end for the end of the whole tunnel (RST_STREAM NO_ERROR after END_STREAM; node:http2
  // sees the same): nothing that was sent may be lost, and it is no error.
  test("an end of the application that Envoy makes the end of the tunnel", async () => {
    const client = await clientOf("scripted");
    onSocket = (socket) => socket.end(Buffer.alloc(300_000, "server first"));
    const socket = await dial(client.port);
    assert.equal((await collect(socket)).length, 300_000);
    assert.deepEqual(await client.flows[0]?.done, {});
    assert.equal(client.sessions[0]?.openStreams, 0);
    assert.equal(client.sessions[0]?.usable, true);
  });

  // As in a waypoint: the tunnel ends in an internal listener, whose connection closes both ways at once. Envoy then sends
  // the answer and RST_STREAM CONNECT_ERROR, without END_STREAM.
  for (const size of [1_000, 1_000_000])
    test(`an answer of ${size} bytes behind which Envoy closes the inner connection`, async () => {
      const client = await clientOf(`answers-${size}`);
      for (let round = 0; round < 5; round++) {
        const socket = await dial(client.port);
        socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        const answer = (await collect(socket)).toString();
        assert.match(answer, /^HTTP\/1.1 200 OK\r\n/);
        assert.equal(answer.length - answer.indexOf("\r\n\r\n") - 4, size);
        assert.deepEqual(await client.flows[round]?.done, {});
      }
      assert.equal(client.sessions.length, 1);
      await client.close();
    });

  test("RST_STREAM by Envoy and by us ends one tunnel alone", async () => {
    const client = await clientOf("scripted");
    const held: Socket[] = [];
    onSocket = (socket) => {
      socket.resume();
      held.push(socket);
    };
    const opened: Socket[] = [];
    for (let count = 1; count <= 3; count++) {
      opened.push(await dial(client.port));
      await eventually("the application is reached", () => held.length === count);
    }
    const [lives, resetByEnvoy, resetByUs] = opened;
    assert.ok(lives && resetByEnvoy && resetByUs);
    held[1]?.resetAndDestroy();
    await cutByPeer(resetByEnvoy);
    resetByUs.resetAndDestroy();
    await eventually("the application is cut", () => held[2]?.readableEnded === true);
    await eventually("one tunnel is left", () => client.sessions[0]?.openStreams === 1);
    held[0]?.end("alive");
    assert.equal((await collect(lives)).toString(), "alive");
    assert.equal(client.sessions.length, 1);
    lives.end();
  });

  test("GOAWAY after some requests: tunnels live on, the pool goes to a new session", async () => {
    const client = await clientOf("worn");
    const sockets: Socket[] = [];
    for (let count = 0; count < 10; count++) {
      const socket = await dial(client.port);
      socket.write("x");
      await once(socket, "data");
      sockets.push(socket);
    }
    assert.ok(client.sessions.length >= 3, `${client.sessions.length} sessions`);
    for (const socket of sockets) {
      socket.end("rest");
      assert.equal((await collect(socket)).toString(), "rest");
    }
    assert.deepEqual(client.failures, []);
    await Promise.all(client.sessions.slice(0, -1).map(({ closed }) => closed));
  });

  test("many short tunnels over sessions that Envoy keeps sending away: none fails", async () => {
    const client = await clientOf("worn");
    for (let round = 0; round < 20; round++) {
      const fine = await Promise.all(Array.from({ length: 10 }, () => echoesAt(client.port, 1000)));
      assert.ok(fine.every(Boolean));
    }
    assert.deepEqual(client.failures, []);
  });

  test("a draining Envoy: open tunnels live on", async () => {
    const client = await clientOf("draining");
    const old = await dial(client.port);
    old.write("x");
    await once(old, "data");
    await envoy.admin("/healthcheck/fail", "POST");
    // Envoy tells with its next answer on the session.
    assert.ok(await echoesAt(client.port, 1000));
    await eventually("GOAWAY has come", () => client.sessions[0]?.usable === false);
    assert.ok(await echoesAt(client.port, 1000));
    assert.equal(client.sessions.length, 2);
    old.end("the rest");
    assert.equal((await collect(old)).toString(), "the rest");
    await client.sessions[0]?.closed;
    await envoy.admin("/healthcheck/ok", "POST");
  });

  test("we drain: the session ends with its last tunnel", async () => {
    const client = await clientOf("plain");
    const socket = await dial(client.port);
    socket.write("x");
    await once(socket, "data");
    client.pool.drain();
    socket.end("the rest");
    assert.equal((await collect(socket)).toString(), "the rest");
    await client.sessions[0]?.closed;
  });

  test("identities: a server of another name is refused by us, a client of another name by Envoy", async () => {
    const picky = await clientOf("plain", web, spiffe("shop/other"));
    await assert.rejects(picky.open("10.0.0.1:80"), { code: "tls-failed" });
    const unknown = await clientOf("plain", stranger);
    await assert.rejects(unknown.open("10.0.0.1:80"));
  });

  test("Envoy killed in full flight leaves nothing behind", async () => {
    const client = await clientOf("plain");
    const sockets = await Promise.all(Array.from({ length: 20 }, () => dial(client.port)));
    for (const socket of sockets) {
      socket.on("error", () => undefined).resume();
      socket.write(Buffer.alloc(4_000_000));
    }
    await eventually("bytes flow", () => {
      return client.flows.length === 20 && client.flows.every((flow) => flow.received > 0);
    });
    await envoy.kill();
    const ends = await Promise.all(client.flows.map(({ done }) => done));
    assert.ok(ends.every(({ error }) => error !== undefined));
    await Promise.all(client.sessions.map(({ closed }) => closed));
    assert.equal(client.pool.size, 0);
    for (const socket of sockets) socket.destroy();
    await assert.rejects(client.open("10.0.0.1:80"));
  });
});
