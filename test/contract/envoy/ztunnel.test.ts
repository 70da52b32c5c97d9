/** Envoy and Node's HTTP/2 against a real ztunnel: into the mesh, out of it, and every answer to a CONNECT. */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { createServer, connect as netConnect, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import type { ManagedProcess } from "../../../src/cli/world/process.ts";
import { Envoy, envoyVersion, withoutEnvoy } from "../../support/envoy.ts";
import { dial } from "../../support/hbone.ts";
import { spiffe } from "../../unit/shared/identity/pki.ts";
import { collect, cutByPeer, echoesAt, eventually } from "./endpoints.ts";
import {
  type AccessLogLine,
  hboneCluster,
  type KeyedCertificate,
  plainCluster,
  terminatingListener,
  tunnelingListener,
} from "./resources.ts";
import { pods, ratingsVip, ZtunnelStage } from "./ztunnel-stage.ts";

const stage = new ZtunnelStage();
let ztunnel: ManagedProcess;
let application: Server;
/** Who connected to the application, as it sees them. */
const callers: string[] = [];
let web: KeyedCertificate;
let ratings: KeyedCertificate;

const denyWeb = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny-web, namespace: shop }
spec:
  action: DENY
  selector: { matchLabels: { app: reviews } }
  rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }] }]
`;

before(async () => {
  await stage.open();
  ztunnel = await stage.startZtunnel();
  [web, ratings] = [await stage.certificate("shop/web"), await stage.certificate("shop/ratings")];
  application = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    callers.push(socket.remoteAddress ?? "");
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  await once(application.listen(8080, pods.reviews), "listening");
});

after(async () => {
  application?.close();
  await stage.close();
  process.disconnect?.();
});

describe("Node's HTTP/2 client asks the ztunnel", () => {
  const connect = async (key = web): Promise<http2.ClientHttp2Session> => {
    const tls = tlsConnect({
      socket: netConnect({ host: pods.reviews, port: 15008, localAddress: pods.web }),
      key: key.keyPem,
      cert: key.leaf.pem,
      ca: key.roots.map(({ pem }) => pem),
      ALPNProtocols: ["h2"],
      checkServerIdentity: (_host, certificate) => {
        assert.equal(certificate.subjectaltname, `URI:${spiffe("shop/reviews")}`);
        return undefined;
      },
    });
    await once(tls, "secureConnect");
    const session = http2.connect(`https://${pods.reviews}`, { createConnection: () => tls });
    await once(session, "connect");
    return session;
  };

  /** Status and headers of the answer, or the code of the reset in its place. */
  const ask = async (
    headers: http2.OutgoingHttpHeaders,
    key = web,
  ): Promise<{ status: unknown; headers: http2.IncomingHttpHeaders; endStream: boolean }> => {
    const session = await connect(key);
    const stream = session.request(headers, { endStream: false });
    stream.on("error", () => undefined);
    try {
      const [answer, flags] = (await once(stream, "response")) as [
        http2.IncomingHttpHeaders,
        number,
      ];
      const endStream = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      return { status: answer[":status"], headers: answer, endStream };
    } finally {
      session.destroy();
    }
  };
  const connectTo = (authority: string) => ({ ":method": "CONNECT", ":authority": authority });

  test("200, the workload's baggage, bytes, the caller's address", async () => {
    const session = await connect();
    const stream = session.request(connectTo(`${pods.reviews}:8080`), { endStream: false });
    const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    assert.equal(answer[":status"], 200);
    assert.equal(
      answer["baggage"],
      "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=reviews-v1,service.name=reviews,service.version=v1,cloud.region=r1,cloud.availability_zone=z1",
    );
    stream.end("hello");
    assert.equal((await collect(stream)).toString(), "hello");
    assert.equal(callers.at(-1), pods.web);
    session.close();
  });

  const refusals: readonly (readonly [string, http2.OutgoingHttpHeaders, number])[] = [
    ["GET", { ":method": "GET", ":path": "/", ":authority": `${pods.reviews}:8080` }, 400],
    ["POST", { ":method": "POST", ":path": "/", ":authority": `${pods.reviews}:8080` }, 400],
    ["an authority without port", connectTo(pods.reviews), 400],
    ["an authority that is none", connectTo("nonsense"), 400],
    ["a port beyond 65535", connectTo(`${pods.reviews}:65536`), 400],
    ["another pod", connectTo(`${pods.ratings}:8080`), 400],
    ["an IPv6 address", connectTo("[::1]:8080"), 400],
    ["the ztunnel's own port", connectTo(`${pods.reviews}:15008`), 503],
    ["the outbound port", connectTo(`${pods.reviews}:15001`), 503],
    ["the plaintext port", connectTo(`${pods.reviews}:15006`), 503],
    ["an unknown host", connectTo("nobody.shop.svc.cluster.local:80"), 503],
    ["a port the service lacks", connectTo("reviews.shop.svc.cluster.local:81"), 503],
    ["a port nobody listens on", connectTo(`${pods.reviews}:8099`), 503],
  ];
  for (const [name, headers, status] of refusals)
    test(`${status}: ${name}`, async () => {
      const answer = await ask(headers);
      assert.deepEqual([answer.status, answer.endStream], [status, true]);
      assert.equal(answer.headers["baggage"], undefined);
    });

  test("200: the service by name, on its own port", async () => {
    const { status } = await ask(connectTo("reviews.shop.svc.cluster.local:80"));
    assert.equal(status, 200);
  });

  test("401 while a policy denies the caller, 200 for others", async () => {
    stage.writeObjects("policy.yaml", denyWeb);
    const authority = connectTo(`${pods.reviews}:8080`);
    await eventually("denied", async () => (await ask(authority)).status === 401);
    assert.equal((await ask(authority)).endStream, true);
    assert.equal((await ask(authority, ratings)).status, 200);
    stage.removeObjects("policy.yaml");
    await eventually("allowed again", async () => (await ask(authority)).status === 200);
  });

  test("no answer at all without a certificate or in the clear", async () => {
    const bare = http2.connect(`https://${pods.reviews}:15008`, { rejectUnauthorized: false });
    const stream = bare.request(connectTo(`${pods.reviews}:8080`));
    bare.on("error", () => undefined);
    await assert.rejects(once(stream, "response"));
    const clear = netConnect(15008, pods.reviews);
    clear.write("GET / HTTP/1.1\r\n\r\n");
    await cutByPeer(clear);
  });
});

// Counted as skipped where Envoy is absent; a skipped suite is not.
test("Envoy is installed", { skip: withoutEnvoy }, (context) =>
  context.diagnostic(`peer: Envoy ${envoyVersion()}`),
);

describe("Envoy and the ztunnel", { skip: withoutEnvoy }, () => {
  let client: Envoy;
  let server: Envoy;
  let upstream: Server;
  const sourceIp = pods.web;
  const log = join(stage.dir, "access.log");
  const startServer = (): Promise<Envoy> =>
    Envoy.start({
      listeners: [
        terminatingListener("hbone", "echo", ratings, spiffe("shop/reviews"), {
          at: `${pods.ratings}:15008`,
          accessLog: log,
        }),
      ],
      clusters: [plainCluster("echo", `${pods.ratings}:9080`)],
    });

  before(async () => {
    upstream = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.pipe(socket);
    });
    await once(upstream.listen(9080, pods.ratings), "listening");
    const reviews = spiffe("shop/reviews");
    client = await Envoy.start({
      listeners: [
        tunnelingListener("pod", "hbone", `${pods.reviews}:8080`),
        tunnelingListener("service", "hbone", "reviews.shop.svc.cluster.local:80"),
        tunnelingListener("nobody", "hbone", `${pods.reviews}:8099`),
      ],
      clusters: [hboneCluster("hbone", `${pods.reviews}:15008`, web, reviews, { sourceIp })],
    });
    server = await startServer();
  });

  after(async () => {
    await client?.stop();
    await server?.stop();
    upstream?.close();
  });

  for (const size of [0, 1, 16_384, 10_000_000])
    test(`into the mesh: ${size} bytes there and back`, async () => {
      assert.ok(await echoesAt(client.port("pod"), size));
      assert.ok(await echoesAt(client.port("service"), size));
    });

  test("into the mesh: the application sees the caller's address", async () => {
    await echoesAt(client.port("pod"), 10);
    assert.equal(callers.at(-1), sourceIp);
  });

  test("into the mesh: 200 connections at once", async () => {
    const fine = await Promise.all(
      Array.from({ length: 200 }, () => echoesAt(client.port("pod"), 20_000)),
    );
    assert.ok(fine.every(Boolean));
  });

  test("into the mesh: 503 ends Envoy's connection, the session lives on", async () => {
    await cutByPeer(await dial(client.port("nobody")));
    assert.ok(await echoesAt(client.port("pod"), 1000));
  });

  test("into the mesh: a policy cuts Envoy's open tunnel, and no new one comes through", async () => {
    const open = await dial(client.port("pod"));
    open.write("x");
    await once(open, "data");
    stage.writeObjects("policy.yaml", denyWeb);
    await cutByPeer(open);
    await cutByPeer(await dial(client.port("pod")));
    stage.removeObjects("policy.yaml");
    const allowed = (): Promise<boolean> => echoesAt(client.port("pod"), 10).catch(() => false);
    await eventually("allowed again", allowed);
  });

  for (const size of [0, 1, 16_384, 10_000_000])
    test(`out of the mesh: ${size} bytes there and back`, async () => {
      assert.ok(await stage.echoes(pods.ratings, 9080, size));
      assert.ok(await stage.echoes(ratingsVip, 9080, size));
    });

  test("out of the mesh: 100 connections at once", async () => {
    const fine = await Promise.all(
      Array.from({ length: 100 }, () => stage.echoes(ratingsVip, 9080, 20_000)),
    );
    assert.ok(fine.every(Boolean));
  });

  test("out of the mesh: what Envoy says it was sent", async () => {
    const lines = (): AccessLogLine[] =>
      readFileSync(log, "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
    await eventually("lines", () => readFileSync(log, "utf8").split("\n").length > 100);
    const byService = lines().find(({ forwarded }) => forwarded.includes("host="));
    assert.ok(byService);
    const { traceparent, forwarded, ...rest } = byService;
    assert.deepEqual(rest, {
      authority: `${pods.ratings}:9080`,
      method: "CONNECT",
      status: 200,
      peer: spiffe("shop/reviews"),
      baggage:
        "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=reviews-v1,service.name=reviews,service.version=v1,cloud.region=r1,cloud.availability_zone=z1",
      tlsVersion: "TLSv1.3",
      cipher: "TLS_AES_256_GCM_SHA384",
    });
    assert.match(forwarded, /^for="10\.10\.1\.11:\d+";host=ratings\.shop\.svc\.cluster\.local$/);
    assert.match(traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    assert.ok(lines().some((line) => /^for="10\.10\.1\.11:\d+"$/.test(line.forwarded)));
  });

  test("out of the mesh: Envoy dies and comes back", async () => {
    const open = await stage.outbound(pods.ratings, 9080);
    open.write("x");
    await once(open, "data");
    const cut = cutByPeer(open);
    await server.stop();
    await cut;
    await cutByPeer(await stage.outbound(pods.ratings, 9080));
    server = await startServer();
    assert.ok(await stage.echoes(pods.ratings, 9080, 1000));
  });

  test("the ztunnel is told to go: open tunnels finish on both sides", async () => {
    const into = await dial(client.port("pod"));
    const out = await stage.outbound(pods.ratings, 9080);
    for (const socket of [into, out]) {
      socket.write("x");
      await once(socket, "data");
    }
    const stopped = ztunnel.stop("SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const socket of [into, out]) {
      socket.end("the rest");
      assert.equal((await collect(socket)).toString(), "the rest");
    }
    assert.equal((await stopped).code, 0);
  });
});
