/** Ways to an endpoint, each against a real server: tunnels, TLS, PROXY headers, several addresses, names. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, connect as netConnect, type Socket } from "node:net";
import { afterEach, before, describe, test } from "node:test";
import { type TLSSocket, type Server as TlsServer, createServer as tlsServer } from "node:tls";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { tunnelAsDuplex } from "../../../../src/shared/hbone/duplex.ts";
import { joinFlow } from "../../../../src/shared/hbone/flow.ts";
import { serveHbone } from "../../../../src/shared/hbone/server.ts";
import {
  defaultHboneSettings,
  type HboneServerSession,
  type IncomingTunnel,
} from "../../../../src/shared/hbone/tunnel.ts";
import { handshakeServer } from "../../../../src/shared/identity/handshake.ts";
import { type Issuer, issueLeaf } from "../../../../src/shared/identity/issue.ts";
import { formatSpiffe } from "../../../../src/shared/identity/spiffe.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { hostNetwork } from "../../../../src/shared/os/pod-network.ts";
import type { ClusterConfig } from "../../../../src/waypoint/model/cluster.ts";
import type { EndpointTarget } from "../../../../src/waypoint/model/endpoints.ts";
import type {
  TransportConfig,
  UpstreamTls,
} from "../../../../src/waypoint/model/upstream-transport.ts";
import type { UpstreamSecrets } from "../../../../src/waypoint/upstream/dial/secrets.ts";
import type { Cluster } from "../../../../src/waypoint/upstream/upstream.ts";
import type { Upstreams, UpstreamsDeps } from "../../../../src/waypoint/upstream/upstreams.ts";
import { portOf } from "../../../support/hbone.ts";
import {
  assignment,
  clusterConfig,
  endpointAt,
  facts,
  get,
  noSecrets,
  ok,
  pickOf,
  Servers,
  upstreamHttp,
  upstreams,
} from "../../../support/waypoint/upstreams.ts";
import { aroundNow, newRoot, newWorkload, spiffe } from "../../../unit/shared/identity/pki.ts";

const loopback = ipOf("127.0.0.1");
const servers = new Servers();
const ends: (() => void)[] = [];
let current: Upstreams | undefined;
let root: Issuer;
let secrets: UpstreamSecrets;

before(() => {
  root = newRoot();
  const own = newWorkload(root, { uris: [spiffe("shop/waypoint")] });
  secrets = { ...noSecrets, workload: () => Promise.resolve(own) };
});

afterEach(() => {
  current?.destroy();
  servers.close();
  for (const end of ends.splice(0)) end();
});

function clusterTo(
  target: EndpointTarget,
  config: Partial<ClusterConfig> = {},
  deps: Partial<UpstreamsDeps> = {},
): Cluster {
  current = upstreams({ secrets, ...deps });
  const view = current.clusters.update(
    new Map([["c", clusterConfig(config)]]),
    new Map([["c", assignment([endpointAt(target)])]]),
  );
  const cluster = view.get("c");
  assert.ok(cluster);
  return cluster;
}

const tcp = (port: number): EndpointTarget => ({
  kind: "tcp",
  address: { ip: loopback, port },
  additional: [],
});

/** A ztunnel: peers and authorities are noted, tunnels lead where they say. */
class FakeZtunnel {
  readonly arrivals: { authority: string; peer: string; headers: string }[] = [];
  sessions = 0;
  port = 0;
  refuseWith: number | undefined;
  takeOver: ((tunnel: IncomingTunnel) => void) | undefined;

  async start(uri = spiffe("shop/reviews"), issuer = root): Promise<this> {
    const certificate = newWorkload(issuer, { uris: [uri], roots: [root.certificate] });
    const open = new Set<HboneServerSession>();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      socket.on("error", () => undefined);
      handshakeServer({
        socket,
        certificate,
        trustDomain: "cluster.local",
        clock: systemClock,
      }).then(
        ({ tls, peer }) => {
          this.sessions++;
          open.add(
            serveHbone(tls, defaultHboneSettings("server"), systemClock, (tunnel) => {
              const headers = JSON.stringify(tunnel.headers);
              this.arrivals.push({
                authority: tunnel.authority,
                peer: formatSpiffe(peer),
                headers,
              });
              this.#answer(tunnel);
            }),
          );
        },
        () => undefined,
      );
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    this.port = portOf(server);
    ends.push(() => {
      server.close();
      for (const session of open) session.destroy(new MeshError("drained", "over"));
    });
    return this;
  }

  #answer(tunnel: IncomingTunnel): void {
    if (this.refuseWith !== undefined) {
      tunnel.refuse(this.refuseWith);
      return;
    }
    if (this.takeOver !== undefined) {
      this.takeOver(tunnel);
      return;
    }
    const [host = "", port = ""] = tunnel.authority.split(":");
    const app = netConnect({ host, port: Number(port), allowHalfOpen: true });
    app.once("error", () => tunnel.refuse(503));
    app.once("connect", () => {
      app.removeAllListeners("error");
      app.on("error", () => undefined);
      joinFlow(tunnel.accept([]), app);
    });
  }

  target(appPort: number): EndpointTarget {
    return {
      kind: "hbone",
      address: { ip: loopback, port: appPort },
      tunnel: { ip: loopback, port: this.port },
    };
  }
}

describe("tunnels", () => {
  test("requests travel in tunnels of one session, under our own identity", async () => {
    const app = await servers.http((_head, count) => ok(String(count)));
    const ztunnel = await new FakeZtunnel().start();
    const cluster = clusterTo(ztunnel.target(app));
    const fates = await Promise.all(Array.from({ length: 5 }, () => get(cluster)));
    assert.ok(fates.every(({ kind }) => kind === "answer"));
    const [fate] = fates;
    assert.equal(fate?.collector.localAddress, "envoy://internal_client_address/");
    assert.equal(ztunnel.sessions, 1);
    assert.equal(ztunnel.arrivals.length, 5);
    assert.deepEqual(ztunnel.arrivals[0], {
      authority: `127.0.0.1:${app}`,
      peer: spiffe("shop/waypoint"),
      headers: "[]",
    });
    // Kept alive: the same tunnels serve the next ones.
    await Promise.all(Array.from({ length: 5 }, () => get(cluster)));
    assert.equal(ztunnel.arrivals.length, 5);
  });

  test("an application that is not there: the ztunnel's status is the reason", async () => {
    const ztunnel = await new FakeZtunnel().start();
    ztunnel.refuseWith = 503;
    const fate = await get(clusterTo(ztunnel.target(1)));
    assert.ok(fate.kind === "unavailable");
    assert.equal(fate.failure.kind, "tunnel-refused");
    assert.match(fate.failure.reason, /503/);
  });

  test("a ztunnel of another trust domain is no ztunnel of ours", async () => {
    const app = await servers.http(() => ok("x"));
    const ztunnel = await new FakeZtunnel().start(spiffe("shop/reviews", "other.test"));
    const fate = await get(clusterTo(ztunnel.target(app)));
    assert.ok(fate.kind === "unavailable" && fate.failure.kind === "tls-failed");
    assert.match(fate.failure.reason, /trust domain/);
  });

  test("one whose certificate we do not trust neither", async () => {
    const app = await servers.http(() => ok("x"));
    const ztunnel = await new FakeZtunnel().start(spiffe("shop/reviews"), newRoot("strangers"));
    const fate = await get(clusterTo(ztunnel.target(app)));
    assert.ok(fate.kind === "unavailable" && fate.failure.kind === "tls-failed");
  });

  test("TCP connections get a tunnel of their own", async () => {
    const app = await servers.listen((socket) => socket.pipe(socket));
    const ztunnel = await new FakeZtunnel().start();
    const cluster = clusterTo(ztunnel.target(app));
    const over = new AbortController();
    const { stream } = await cluster.connect(pickOf(cluster), facts(), over.signal);
    assert.ok("kind" in stream);
    const inside = tunnelAsDuplex(stream);
    inside.write("hello");
    const [echo] = (await once(inside, "data")) as [Buffer];
    assert.equal(echo.toString(), "hello");
    assert.equal(current?.clusters.views()[0]?.underWay.connections, 1);
    over.abort();
    assert.equal(current?.clusters.views()[0]?.underWay.connections, 0);
    inside.destroy();
  });

  test("to another network: a tunnel in a tunnel through its gateway", async () => {
    const app = await servers.http(() => ok("far"));
    const gateway = await new FakeZtunnel().start(spiffe("istio-system/eastwest"));
    const inner = newWorkload(root, { uris: [spiffe("shop/reviews")] });
    const innerArrivals: string[] = [];
    gateway.takeOver = (tunnel) => {
      const socket = tunnelAsDuplex(tunnel.accept([]));
      void handshakeServer({
        socket,
        certificate: inner,
        trustDomain: "cluster.local",
        clock: systemClock,
      }).then(({ tls }) =>
        serveHbone(tls, defaultHboneSettings("server"), systemClock, (incoming) => {
          innerArrivals.push(`${incoming.authority} ${JSON.stringify(incoming.headers)}`);
          const far = netConnect({ host: "127.0.0.1", port: app, allowHalfOpen: true });
          far.on("error", () => undefined);
          far.once("connect", () => joinFlow(incoming.accept([]), far));
        }),
      );
    };
    const target: EndpointTarget = {
      kind: "double-hbone",
      gateway: { ip: loopback, port: gateway.port },
      authority: "reviews.shop.svc.cluster.local:80",
    };
    const fate = await get(clusterTo(target, {}, { networkName: "near" }));
    assert.ok(fate.kind === "answer" && fate.body === "far");
    assert.equal(gateway.arrivals[0]?.authority, "reviews.shop.svc.cluster.local:80");
    assert.equal(gateway.arrivals[0]?.headers, '[["x-istio-source","waypoint"]]');
    assert.deepEqual(innerArrivals, [
      'reviews.shop.svc.cluster.local:80 [["x-forwarded-network","near"]]',
    ]);
  });
});

interface Site {
  readonly port: number;
  readonly seen: TLSSocket[];
}

/** A web site with this name, of this authority. */
async function site(dns: string, issuer: Issuer, more: object = {}): Promise<Site> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const leaf = issueLeaf(issuer, publicKey, { dns: [dns] }, aroundNow());
  const seen: TLSSocket[] = [];
  const server: TlsServer = tlsServer(
    {
      cert: leaf.pem,
      key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      ALPNProtocols: ["http/1.1"],
      ...more,
    },
    (socket) => {
      seen.push(socket);
      socket.on("error", () => undefined);
      socket.on("data", () => socket.write(ok("secret")));
    },
  );
  server.on("tlsClientError", () => undefined);
  await once(server.listen(0, "127.0.0.1"), "listening");
  ends.push(() => {
    for (const socket of seen) socket.destroy();
    server.close();
  });
  return { port: portOf(server), seen };
}

function tlsTo(issuer: Issuer, more: Partial<UpstreamTls> = {}): TransportConfig {
  return {
    proxyProtocol: undefined,
    tls: {
      sni: "shop.test",
      alpn: [],
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      ciphers: undefined,
      groups: undefined,
      certificate: undefined,
      trust: {
        kind: "given",
        roots: { kind: "inline", bytes: Buffer.from(issuer.certificate.pem) },
        crl: undefined,
      },
      peer: { names: [named("shop.test")], certificateHashes: [], spkiHashes: [] },
      ...more,
    },
  };
}

function named(value: string) {
  return { type: "any", matcher: { kind: "exact", value, ignoreCase: false } } as const;
}

describe("TLS", () => {
  test("SIMPLE: the site is verified, and told its name", async () => {
    const there = await site("shop.test", root);
    const fate = await get(clusterTo(tcp(there.port), { transport: tlsTo(root) }));
    assert.ok(fate.kind === "answer" && fate.body === "secret");
    assert.equal(there.seen[0]?.servername, "shop.test");
    assert.equal(there.seen[0]?.alpnProtocol, "http/1.1");
  });

  for (const [what, dns, rules] of [
    ["another name", "evil.test", {}],
    [
      "a wildcard two labels up",
      "*.test",
      { peer: { names: [named("a.b.test")], certificateHashes: [], spkiHashes: [] } },
    ],
  ] as const)
    test(`${what} is refused`, async () => {
      const there = await site(dns, root);
      const fate = await get(clusterTo(tcp(there.port), { transport: tlsTo(root, rules) }));
      assert.ok(fate.kind === "unavailable" && fate.failure.kind === "tls-failed");
      assert.match(fate.failure.reason, /verify SAN/);
    });

  test("a wildcard for one label is taken", async () => {
    const there = await site("*.test", root);
    const fate = await get(clusterTo(tcp(there.port), { transport: tlsTo(root) }));
    assert.equal(fate.kind, "answer");
  });

  test("an authority we do not trust is refused; without verification nothing is", async () => {
    const there = await site("shop.test", newRoot("strangers"));
    const fate = await get(clusterTo(tcp(there.port), { transport: tlsTo(root) }));
    assert.ok(fate.kind === "unavailable" && fate.failure.kind === "tls-failed");
    assert.match(fate.failure.reason, /certificate verify failed/);
    current?.destroy();
    const careless = tlsTo(root, {
      trust: { kind: "none" },
      peer: { names: [], certificateHashes: [], spkiHashes: [] },
    });
    assert.equal((await get(clusterTo(tcp(there.port), { transport: careless }))).kind, "answer");
  });

  test("MUTUAL: our certificate from a secret is shown", async () => {
    const there = await site("shop.test", root, {
      requestCert: true,
      rejectUnauthorized: true,
      ca: root.certificate.pem,
    });
    const client = newWorkload(root, { uris: [spiffe("shop/client")] });
    const pair = { chainPem: client.leaf.pem, keyPem: client.keyPem };
    const transport = tlsTo(root, { certificate: { kind: "secret", name: "kubernetes://pair" } });
    const missing = await get(clusterTo(tcp(there.port), { transport }));
    assert.ok(missing.kind === "unavailable");
    assert.match(missing.failure.reason, /kubernetes:\/\/pair/);
    current?.destroy();
    const withPair = {
      ...secrets,
      certificate: (name: string) => (name === "kubernetes://pair" ? pair : undefined),
    };
    const fate = await get(clusterTo(tcp(there.port), { transport }, { secrets: withPair }));
    assert.equal(fate.kind, "answer");
    assert.match(there.seen.at(-1)?.getPeerCertificate().subjectaltname ?? "", /shop\/sa\/client/);
  });

  test("inside a tunnel", async () => {
    const there = await site("shop.test", root);
    const ztunnel = await new FakeZtunnel().start();
    const fate = await get(clusterTo(ztunnel.target(there.port), { transport: tlsTo(root) }));
    assert.ok(fate.kind === "answer" && fate.body === "secret");
    assert.equal(ztunnel.arrivals.length, 1);
  });

  test("the name of the request where the cluster asks for that, and a connection for each name", async () => {
    const there = await site("*.test", root);
    const transport = tlsTo(root, {
      sni: undefined,
      peer: { names: [], certificateHashes: [], spkiHashes: [] },
    });
    const http = upstreamHttp({ autoSni: true, autoSanValidation: true });
    const cluster = clusterTo(tcp(there.port), { transport, http });
    for (const authority of ["a.test", "b.test:443", "a.test"])
      assert.equal((await get(cluster, { authority })).kind, "answer");
    assert.deepEqual(
      there.seen.map(({ servername }) => servername),
      ["a.test", "b.test"],
    );
    const wrong = await get(cluster, { authority: "a.elsewhere" });
    assert.ok(wrong.kind === "unavailable" && wrong.failure.kind === "tls-failed");
  });

  test("a site that is silent during the handshake costs the connect timeout", async () => {
    const port = await servers.listen((socket) => socket.resume());
    const cluster = clusterTo(tcp(port), { transport: tlsTo(root), connectTimeoutMs: 100 });
    const fate = await get(cluster);
    assert.ok(fate.kind === "unavailable" && fate.failure.kind === "connect-timeout");
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(servers.connections(), 0);
  });
});

describe("PROXY protocol", () => {
  const heads: Buffer[] = [];
  const listen = (headBytes: number): Promise<number> =>
    servers.listen((socket: Socket) => {
      socket.once("data", (chunk: Buffer) => {
        heads.push(chunk.subarray(0, headBytes));
        socket.write(ok("x"));
      });
    });

  test("version 1 in text", async () => {
    heads.length = 0;
    const text = "PROXY TCP4 10.10.1.10 10.96.1.1 40000 80\r\n";
    const port = await listen(text.length);
    const transport: TransportConfig = { proxyProtocol: "v1", tls: undefined };
    assert.equal((await get(clusterTo(tcp(port), { transport }))).kind, "answer");
    assert.equal(heads[0]?.toString(), text);
  });

  test("version 2 in octets, through a tunnel as well; connections are not shared between clients", async () => {
    heads.length = 0;
    const port = await listen(28);
    const ztunnel = await new FakeZtunnel().start();
    const transport: TransportConfig = { proxyProtocol: "v2", tls: undefined };
    const cluster = clusterTo(ztunnel.target(port), { transport });
    const other = { ...facts().downstream, source: { ip: "10.10.1.11", port: 40001 } };
    assert.equal((await get(cluster)).kind, "answer");
    assert.equal((await get(cluster, { downstream: other })).kind, "answer");
    assert.deepEqual(
      heads.map((head) => head.toString("hex")),
      [
        "0d0a0d0a000d0a515549540a2111000c0a0a010a0a6001019c400050",
        "0d0a0d0a000d0a515549540a2111000c0a0a010b0a6001019c410050",
      ],
    );
  });
});

describe("addresses", () => {
  test("the next address is tried at once when one refuses", async () => {
    const port = await servers.http(() => ok("x"));
    const gone = new Servers();
    const closed = await gone.listen(() => undefined);
    gone.close();
    const target: EndpointTarget = {
      kind: "tcp",
      address: { ip: ipOf("127.0.0.1"), port: closed },
      additional: [{ ip: loopback, port }],
    };
    assert.equal((await get(clusterTo(target))).kind, "answer");
  });

  test("and after a while when one is silent; the loser is closed", async () => {
    const port = await servers.http(() => ok("x"));
    const real = hostNetwork(systemClock);
    let aborted = false;
    const network: UpstreamsDeps["network"] = {
      dialTcp: (options) =>
        options.destination.port === 1
          ? new Promise((_resolve, reject) => {
              options.signal?.addEventListener("abort", () => {
                aborted = true;
                reject(new Error("aborted"));
              });
            })
          : real.dialTcp(options),
    };
    const target: EndpointTarget = {
      kind: "tcp",
      address: { ip: loopback, port: 1 },
      additional: [{ ip: loopback, port }],
    };
    const [fate] = await Promise.all([
      get(clusterTo(target, {}, { network })),
      new Promise((resolve) => setTimeout(resolve, 400)),
    ]);
    assert.equal(fate.kind, "answer");
    assert.equal(aborted, true);
  });

  test("original destination: where the client wanted, with another port if told so", async () => {
    const port = await servers.http(() => ok("x"));
    current = upstreams();
    const discovery = {
      kind: "original-destination",
      portOverride: port,
      tunnelled: false,
      cleanupMs: 5000,
    } as const;
    const config = clusterConfig({ discovery, balance: { kind: "provided" } });
    const cluster = current.clusters.update(new Map([["c", config]]), new Map()).get("c");
    assert.ok(cluster);
    const downstream = { ...facts().downstream, destination: { ip: "127.0.0.1", port: 9 } };
    const fate = await get(cluster, { downstream });
    assert.equal(fate.kind, "answer");
    assert.equal(pickOf(cluster, { downstream }).address, `127.0.0.1:${port}`);
  });

  test("dynamic: where the request's authority says", async () => {
    const port = await servers.http(() => ok("x"));
    current = upstreams({ resolve: () => Promise.resolve([{ ip: loopback, ttlMs: 1000 }]) });
    const dns = {
      family: "v4-only",
      refreshMs: 1000,
      failureRefreshMs: 1000,
      failureRefreshMaxMs: 1000,
      respectTtl: true,
      jitterMs: 0,
    } as const;
    const config = clusterConfig({
      discovery: { kind: "dynamic", dns },
      balance: { kind: "provided" },
    });
    const cluster = current.clusters.update(new Map([["c", config]]), new Map()).get("c");
    assert.ok(cluster);
    assert.equal((await get(cluster, { authority: `any.test:${port}` })).kind, "answer");
    assert.equal(cluster.pick(facts({ authority: "not a name/" })).kind, "none");
  });
});
