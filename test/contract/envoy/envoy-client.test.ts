/** Envoy's TcpProxy carries connections in CONNECT over HTTP/2 and mutual TLS; our server ends the tunnels. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { slabsInUse } from "../../../src/shared/hbone/session/slab.ts";
import { Envoy, envoyVersion, withoutEnvoy } from "../../support/envoy.ts";
import { dial, echoServer, portOf } from "../../support/hbone.ts";
import { newRoot, newWorkload, spiffe } from "../../unit/shared/identity/pki.ts";
import { application, collect, cutByPeer, echoesAt, eventually, HboneServer } from "./endpoints.ts";
import { hboneCluster, smallWindows, tunnelingListener } from "./resources.ts";

const root = newRoot();
const web = newWorkload(root, { uris: [spiffe("shop/web")] });
const catalog = newWorkload(root, { uris: [spiffe("shop/catalog")] });
const stranger = newWorkload(newRoot("others"), { uris: [spiffe("shop/web")] });
const headers = { baggage: "k8s.namespace.name=shop", forwarded: 'for="192.0.2.1:5"' };

// Counted as skipped where Envoy is absent; a skipped suite is not.
test("Envoy is installed", { skip: withoutEnvoy }, (context) =>
  context.diagnostic(`peer: Envoy ${envoyVersion()}`),
);

describe("Envoy as the HBONE client of our server", { skip: withoutEnvoy }, () => {
  let echo: Server;
  let server: HboneServer;
  let envoy: Envoy;

  before(async () => {
    echo = await echoServer();
    // Short liveness PINGs: Envoy must answer them all the time.
    server = await HboneServer.listen(catalog, portOf(echo), { pingIntervalMs: 100 });
    const peer = spiffe("shop/catalog");
    const trusting = newWorkload(root, { uris: [spiffe("shop/web")], roots: [] });
    envoy = await Envoy.start({
      listeners: [
        tunnelingListener("plain", "hbone", "10.0.0.1:80", headers),
        tunnelingListener("by-name", "hbone", "catalog.shop.svc.cluster.local:80"),
        tunnelingListener("small", "hbone-small", "10.0.0.1:80"),
        tunnelingListener("wrong-server", "hbone-wrong", "10.0.0.1:80"),
        tunnelingListener("foreign", "hbone-foreign", "10.0.0.1:80"),
      ],
      clusters: [
        hboneCluster("hbone", server.port, web, peer),
        hboneCluster("hbone-small", server.port, web, peer, { windows: smallWindows }),
        hboneCluster("hbone-wrong", server.port, web, spiffe("shop/other")),
        hboneCluster(
          "hbone-foreign",
          server.port,
          { ...stranger, roots: trusting.roots.concat(catalog.roots) },
          peer,
        ),
      ],
    });
  });

  after(async () => {
    await envoy?.stop();
    await server?.close();
    echo?.close();
    assert.equal(slabsInUse(), 0);
  });

  const nothingOpen = (): Promise<void> =>
    eventually("all tunnels end", () => server.openStreams === 0);

  for (const size of [0, 1, 16_384, 1_000_000, 20_000_000])
    test(`${size} bytes there and back`, async () => {
      assert.ok(await echoesAt(envoy.port("plain"), size));
    });

  test("the request: identity of the peer, authority, headers", async () => {
    await echoesAt(envoy.port("by-name"), 10);
    const byName = server.requests.at(-1);
    assert.equal(byName?.authority, "catalog.shop.svc.cluster.local:80");
    await echoesAt(envoy.port("plain"), 10);
    const request = server.requests.at(-1);
    assert.equal(request?.method, "CONNECT");
    assert.equal(request?.authority, "10.0.0.1:80");
    const seen = new Map(request?.headers);
    assert.deepEqual({ baggage: seen.get("baggage"), forwarded: seen.get("forwarded") }, headers);
    assert.deepEqual([...new Set(server.peers)], [spiffe("shop/web")]);
  });

  test("small windows of Envoy are refilled again and again", async () => {
    assert.ok(await echoesAt(envoy.port("small"), 5_000_000));
  });

  test("200 tunnels at once share one session", async () => {
    const sessions = server.sessions.length;
    const sockets = await Promise.all(
      Array.from({ length: 200 }, async () => dial(envoy.port("plain"))),
    );
    await Promise.all(
      sockets.map(async (socket, index) => {
        socket.write(`hello ${index}`);
        const [first] = (await once(socket, "data")) as [Buffer];
        assert.equal(first.toString(), `hello ${index}`);
      }),
    );
    assert.equal(server.openStreams, 200);
    assert.equal(server.sessions.length, sessions);
    // Our limit of streams is announced; Envoy opens another session for the next ones.
    assert.ok(await echoesAt(envoy.port("plain"), 1000));
    assert.equal(server.sessions.length, sessions + 1);
    await Promise.all(
      sockets.map(async (socket, index) => {
        const sent = Buffer.alloc(50_000, `${index} `);
        socket.end(sent);
        assert.ok((await collect(socket)).equals(sent));
      }),
    );
    await nothingOpen();
  });

  test("half-close by the client: the answer comes afterwards", async () => {
    const app = await application((socket) => {
      socket.on("data", () => undefined).on("end", () => socket.end("after your end"));
    });
    server.onTunnel = server.acceptTo(portOf(app));
    const socket = await dial(envoy.port("plain"));
    socket.end("all I have");
    assert.equal((await collect(socket)).toString(), "after your end");
    app.close();
    await nothingOpen();
  });

  test("half-close by the server: the client may go on", async () => {
    const received: Promise<Buffer>[] = [];
    const app = await application((socket) => {
      socket.end("server first");
      received.push(collect(socket));
    });
    server.onTunnel = server.acceptTo(portOf(app));
    const socket = await dial(envoy.port("plain"));
    assert.equal((await collect(socket)).toString(), "server first");
    socket.end("still sending");
    await eventually("the application is reached", () => received.length === 1);
    assert.equal((await received[0])?.toString(), "still sending");
    app.close();
    await nothingOpen();
  });

  test("a reader that stalls stops the sender", async () => {
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const app = await application((socket) => {
      const more = (): void => {
        while (!socket.destroyed && socket.write(chunk)) written += chunk.length;
        written += chunk.length;
      };
      socket.on("drain", more);
      more();
    });
    server.onTunnel = server.acceptTo(portOf(app));
    const socket = await dial(envoy.port("small"));
    socket.pause();
    let before = -1;
    await eventually("the sender stops", async () => {
      const stopped = written === before;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return stopped;
    });
    const held = server.flows.at(-1)?.received ?? 0;
    assert.ok(held < 24 * 1024 * 1024, `${held} bytes went into a tunnel nobody reads`);
    socket.destroy();
    await nothingOpen();
    app.close();
  });

  test("a refusal ends Envoy's connection and nothing else", async () => {
    const sessions = server.sessions.length;
    for (const status of [400, 401, 503]) {
      server.onTunnel = (tunnel) => tunnel.refuse(status);
      await cutByPeer(await dial(envoy.port("plain")));
    }
    server.onTunnel = server.acceptTo(portOf(echo));
    assert.ok(await echoesAt(envoy.port("plain"), 1000));
    assert.equal(server.sessions.length, sessions);
  });

  test("RST_STREAM by us and by Envoy ends one tunnel alone", async () => {
    const held: Socket[] = [];
    const app = await application((socket) => {
      socket.resume();
      held.push(socket);
    });
    server.onTunnel = server.acceptTo(portOf(app));
    const [lives, resetByUs, resetByEnvoy] = [
      await dial(envoy.port("plain")),
      await dial(envoy.port("plain")),
      await dial(envoy.port("plain")),
    ];
    await eventually("three connections", () => held.length === 3);
    held[1]?.resetAndDestroy();
    await cutByPeer(resetByUs);
    resetByEnvoy.resetAndDestroy();
    await eventually("the application is cut", () => held[2]?.closed === true);
    await eventually("one tunnel is left", () => server.openStreams === 1);
    held[0]?.end("alive");
    assert.equal((await collect(lives)).toString(), "alive");
    lives.end();
    await nothingOpen();
    app.close();
  });

  test("after our GOAWAY open tunnels finish and new ones take a new session", async () => {
    server.onTunnel = server.acceptTo(portOf(echo));
    const old = await dial(envoy.port("plain"));
    old.write("x");
    await once(old, "data");
    const seen = await goAways();
    const drained = server.sessions.find(({ openStreams }) => openStreams === 1);
    assert.ok(drained);
    drained.drain();
    await eventually("Envoy has seen it", async () => (await goAways()) > seen);
    const next = await dial(envoy.port("plain"));
    next.write("y");
    await once(next, "data");
    assert.equal(drained.openStreams, 1);
    next.destroy();
    old.end("the rest");
    assert.equal((await collect(old)).toString(), "the rest");
    await drained.closed;
  });

  const goAways = (): Promise<number> => envoy.stat("cluster.hbone.upstream_cx_close_notify");

  test("a server of another name is refused by Envoy, a client of another root by us", async () => {
    for (const listener of ["wrong-server", "foreign"]) {
      const sessions = server.requests.length;
      await cutByPeer(await dial(envoy.port(listener)));
      assert.equal(server.requests.length, sessions);
    }
  });

  test("Envoy killed in full flight leaves nothing behind", async () => {
    server.onTunnel = server.acceptTo(portOf(echo));
    const sockets = await Promise.all(Array.from({ length: 20 }, () => dial(envoy.port("plain"))));
    for (const socket of sockets) {
      socket.on("error", () => undefined).resume();
      socket.write(Buffer.alloc(4_000_000));
    }
    await eventually("bytes flow", () => server.flows.slice(-20).every((flow) => flow.sent > 0));
    await envoy.kill();
    await Promise.all(server.sessions.map(({ closed }) => closed));
    await Promise.all(server.flows.map(({ done }) => done));
    assert.equal(server.openStreams, 0);
    for (const socket of sockets) socket.destroy();
  });
});
