/** Against Node's own HTTP/2 (nghttp2), an independent peer, in both roles; and against the nghttp client where it is installed. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import { describe, test } from "node:test";
import { createServer as createTlsServer, connect as tlsConnect } from "node:tls";
import { promisify } from "node:util";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { openHboneClient } from "../../../../src/shared/hbone/client.ts";
import { tunnelAsDuplex } from "../../../../src/shared/hbone/duplex.ts";
import { serveHbone } from "../../../../src/shared/hbone/server.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import {
  defaultHboneSettings,
  type HboneClientSession,
  type IncomingTunnel,
} from "../../../../src/shared/hbone/tunnel.ts";
import { acceptTo, echoServer, neverAborts, portOf, testKeyPair } from "../../../support/hbone.ts";

const digest = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Our server on a port. */
async function ourServer(
  onTunnel: (tunnel: IncomingTunnel) => void,
): Promise<{ port: number; close(): void }> {
  const listener = createTlsServer({ ...testKeyPair(), ALPNProtocols: ["h2"] }, (tls) => {
    serveHbone(tls, defaultHboneSettings("server"), systemClock, onTunnel);
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  return { port: portOf(listener), close: () => listener.close() };
}

async function nodeClient(port: number, options: object = {}): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`https://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
    ...options,
  });
  await once(session, "connect");
  return session;
}

async function ourClient(port: number): Promise<HboneClientSession> {
  const tls = tlsConnect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
  });
  await once(tls, "secureConnect");
  return openHboneClient(tls, defaultHboneSettings("client"), systemClock);
}

describe("our server, Node's client", () => {
  test("tunnels carry bytes both ways, headers, half-close", async () => {
    const echo = await echoServer();
    const { port, close } = await ourServer((tunnel) => {
      assert.equal(tunnel.method, "CONNECT");
      const forwarded = tunnel.headers.find(([name]) => name === "forwarded");
      assert.deepEqual(forwarded, ["forwarded", 'for="1.2.3.4:5"']);
      acceptTo(portOf(echo), [["baggage", `for ${tunnel.authority}`]])(tunnel);
    });
    const session = await nodeClient(port);
    for (const size of [0, 1, 16_384, 5_000_000]) {
      const stream = session.request({
        ":method": "CONNECT",
        ":authority": `10.0.0.1:${size}`,
        forwarded: 'for="1.2.3.4:5"',
      });
      const sent = randomBytes(size);
      stream.end(sent);
      const [headers] = (await once(stream, "response")) as [
        http2.IncomingHttpHeaders & { ":status": number },
      ];
      assert.equal(headers[":status"], 200);
      assert.equal(headers["baggage"], `for 10.0.0.1:${size}`);
      assert.equal(digest(await collect(stream)), digest(sent));
    }
    session.close();
    close();
    echo.close();
  });

  test("refusals arrive as status with END_STREAM, also for other methods", async () => {
    const { port, close } = await ourServer((tunnel) =>
      tunnel.refuse(tunnel.method === "CONNECT" ? 401 : 400),
    );
    const session = await nodeClient(port);
    const headersOf = [
      [{ ":method": "CONNECT", ":authority": "a:1" }, 401],
      [{ ":method": "GET", ":path": "/" }, 400],
    ] as const;
    for (const [headers, status] of headersOf) {
      const stream = session.request(headers);
      const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
      assert.equal(answer[":status"], status);
      stream.resume();
      await once(stream, "close");
    }
    session.close();
    close();
  });

  test("drain: open tunnels finish, the client opens no more, the session closes", async () => {
    const echo = await echoServer();
    const listener = createTlsServer({ ...testKeyPair(), ALPNProtocols: ["h2"] });
    await once(listener.listen(0, "127.0.0.1"), "listening");
    const accepted = once(listener, "secureConnection");
    const session = await nodeClient(portOf(listener));
    const [tls] = await accepted;
    const ours = serveHbone(
      tls,
      defaultHboneSettings("server"),
      systemClock,
      acceptTo(portOf(echo)),
    );
    const stream = session.request(
      { ":method": "CONNECT", ":authority": "a:1" },
      { endStream: false },
    );
    await once(stream, "response");
    ours.drain();
    const [code] = (await once(session, "goaway")) as [number];
    assert.equal(code, 0);
    stream.end("still here");
    assert.equal((await collect(stream)).toString(), "still here");
    await ours.closed;
    listener.close();
    echo.close();
  });

  test("every octet that a value may hold survives nghttp2's Huffman code", async () => {
    let seen: string | undefined;
    const { port, close } = await ourServer((tunnel) => {
      seen = tunnel.headers.find(([name]) => name === "x-octets")?.[1];
      tunnel.refuse(503);
    });
    const session = await nodeClient(port);
    const ascii = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
    for (const character of ascii) {
      // Long enough for Huffman to win for the usual ones; the rest of the text tells where a code went wrong.
      const text = `${character}aeiost${character.repeat(3)}012aeiost`;
      const stream = session.request({
        ":method": "CONNECT",
        ":authority": "a:1",
        "x-octets": text,
      });
      await once(stream, "response");
      assert.equal(seen, text);
      stream.resume();
      await once(stream, "close");
    }
    session.close();
    close();
  });

  test("pings are answered", async () => {
    const { port, close } = await ourServer((tunnel) => tunnel.refuse(503));
    const session = await nodeClient(port);
    const payload = Buffer.from("ambitest");
    const echoed = await new Promise<Buffer>((resolve, reject) => {
      session.ping(payload, (error, _duration, answer) =>
        error ? reject(error) : resolve(answer),
      );
    });
    assert.deepEqual(echoed, payload);
    session.close();
    close();
  });
});

describe("our client, Node's server", () => {
  async function nodeServer(
    options: http2.SecureServerOptions,
    onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  ): Promise<http2.Http2SecureServer> {
    const server = http2.createSecureServer({ ...testKeyPair(), ...options });
    server.on("stream", onStream);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return server;
  }

  const echoing = (stream: http2.ServerHttp2Stream): void => {
    stream.on("error", () => stream.destroy());
    stream.respond({ ":status": 200, baggage: "from node" });
    stream.pipe(stream);
  };

  // Frames must be split to the peer's 16 KiB, and small windows reopened again and again.
  for (const initialWindowSize of [100, 65_535, 1 << 20]) {
    test(`echo under a window of ${initialWindowSize}`, async () => {
      const server = await nodeServer({ settings: { initialWindowSize } }, echoing);
      const session = await ourClient(portOf(server));
      for (const size of [0, 1, 20_000, initialWindowSize < 1000 ? 100_000 : 3_000_000]) {
        const answer = await session.connect(
          { authority: "a:1", headers: [["baggage", "x"]] },
          neverAborts,
        );
        assert.ok(answer.kind === "open");
        assert.deepEqual(
          answer.headers.find(([name]) => name === "baggage"),
          ["baggage", "from node"],
        );
        const duplex = tunnelAsDuplex(answer.stream);
        const sent = randomBytes(size);
        duplex.end(sent);
        assert.equal(digest(await collect(duplex)), digest(sent));
      }
      assert.equal(session.openStreams, 0);
      session.drain();
      await session.closed;
      server.close();
      assert.equal(slabsInUse(), 0);
    });
  }

  test("the peer's limit of streams is honoured", async () => {
    const server = await nodeServer({ settings: { maxConcurrentStreams: 3 } }, echoing);
    const session = await ourClient(portOf(server));
    assert.equal(session.maxStreams, 3);
    for (let count = 0; count < 3; count++)
      await session.connect({ authority: "a:1", headers: [] }, neverAborts);
    await assert.rejects(session.connect({ authority: "a:1", headers: [] }, neverAborts), {
      code: "h2-failed",
    });
    session.drain();
    server.close();
    session.destroy(new MeshError("drained", "test is over"));
    await session.closed;
  });

  test("refusal, reset before the answer, GOAWAY", async () => {
    const server = await nodeServer({}, (stream, headers) => {
      stream.on("error", () => stream.destroy());
      const authority = headers[":authority"];
      if (authority === "refuse:1") stream.respond({ ":status": 503 }, { endStream: true });
      else if (authority === "reset:1") stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      else if (authority === "leave:1") stream.session?.goaway(0, 1);
    });
    const session = await ourClient(portOf(server));
    const ask = (authority: string): ReturnType<HboneClientSession["connect"]> =>
      session.connect({ authority, headers: [] }, neverAborts);
    const refused = await ask("refuse:1");
    assert.ok(refused.kind === "refused");
    assert.equal(refused.status, 503);
    await assert.rejects(ask("reset:1"), { code: "h2-failed" });
    assert.equal(session.usable, true);
    const controller = new AbortController();
    const aborted = session.connect({ authority: "wait:1", headers: [] }, controller.signal);
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await assert.rejects(aborted, /enough/);
    await assert.rejects(ask("leave:1"), { code: "h2-failed" });
    assert.equal(session.usable, false);
    await session.closed;
    server.close();
  });
});

const run = promisify(execFile);
const hasNghttp = spawnSync("nghttp", ["--version"]).status === 0;

describe("our server, nghttp and h2load", {
  skip: hasNghttp ? false : "nghttp is not installed",
}, () => {
  test("a GET is refused in good order, with padding and CONTINUATION", async () => {
    const { port, close } = await ourServer((tunnel) =>
      tunnel.refuse(400, [["x-seen", tunnel.method]]),
    );
    const text = async (args: readonly string[]): Promise<string> => {
      const { stdout } = await run("timeout", [
        "20",
        "nghttp",
        "-nv",
        ...args,
        `https://127.0.0.1:${port}/`,
      ]);
      return stdout;
    };
    assert.match(await text([]), /:status: 400/);
    assert.match(await text(["--continuation", "--padding=200"]), /:status: 400/);
    close();
  });

  test("thousands of requests on a few sessions", async () => {
    const { port, close } = await ourServer((tunnel) => tunnel.refuse(400));
    const args = ["60", "h2load", "-n4000", "-c4", "-m50", `https://127.0.0.1:${port}/`];
    const { stdout } = await run("timeout", args);
    assert.match(stdout, /4000 done, .* 0 errored, 0 timeout/);
    close();
  });
});
