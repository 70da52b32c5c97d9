/** Other people's HTTP/2: node:http2, grpc-js, nghttp2 and curl, as clients of our server and servers of our client. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  connect,
  createServer,
  type Http2Server as NodeServer,
  type ServerHttp2Stream,
} from "node:http2";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";
import { promisify } from "node:util";
import {
  Client,
  credentials,
  Server as GrpcServer,
  Metadata,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import { openingOf, openTransport } from "../../../../src/waypoint/http/transport.ts";
import { dial, neverAborts, portOf, testKeyPair } from "../../../support/hbone.ts";
import { sessionPair } from "../../../support/session-pair.ts";
import {
  Answer,
  type ClientStage,
  dialOver,
  type Listening,
  listen,
  makeApp,
  relayTo,
  requestOf,
  serve,
} from "../../../support/waypoint/http2.ts";

const run = promisify(execFile);

function missing(command: string): string | false {
  try {
    execFileSync("which", [command], { stdio: "ignore" });
    return false;
  } catch {
    return `${command} is not installed`;
  }
}

after(() => assert.equal(slabsInUse(), 0));

describe("clients of our server", { timeout: 60_000 }, () => {
  let stage: Listening;
  let url = "";
  before(async () => {
    stage = await listen({ allowConnect: true });
    url = `http://127.0.0.1:${stage.port}`;
  });
  after(() => stage.close());

  test("nghttp gets a large body, with trailers up and down", {
    skip: missing("nghttp"),
  }, async () => {
    const { stdout } = await run("nghttp", ["-nv", `${url}/bytes/3000000`], { maxBuffer: 1 << 24 });
    const lengths = [...stdout.matchAll(/recv DATA frame <length=(\d+)/g)].map((m) => Number(m[1]));
    assert.equal(
      lengths.reduce((sum, length) => sum + length, 0),
      3_000_000,
    );
    const echo = ["-nv", "-H:method: POST", "--trailer", "x-t: yes", "-d", "package.json"];
    const echoed = await run("nghttp", [...echo, `${url}/echo`], { maxBuffer: 1 << 24 });
    assert.match(echoed.stdout, /x-t: yes[\s\S]*x-t: yes/);
  });

  test("h2load: every request of many is answered", { skip: missing("h2load") }, async () => {
    const flags = ["-n", "4000", "-c", "8", "-m", "50"];
    for (const path of ["/hi", "/bytes/20000"]) {
      const { stdout } = await run("h2load", [...flags, url + path]);
      assert.match(stdout, /4000 succeeded, 0 failed, 0 errored/);
    }
    const posts = await run("h2load", [...flags, "-d", "package.json", `${url}/echo`]);
    assert.match(posts.stdout, /4000 succeeded, 0 failed, 0 errored/);
  });

  test("curl with prior knowledge", { skip: missing("curl") }, async () => {
    const flags = ["-sS", "--http2-prior-knowledge", "-H", "cookie: a=b; c=d", "-d", "words", "-i"];
    const { stdout } = await run("curl", [...flags, `${url}/echo/x?y=z`]);
    assert.match(stdout, /^HTTP\/2 200/);
    assert.match(stdout, /x-path: \/echo\/x\?y=z/);
    assert.match(stdout, /cookie: a=b; c=d/);
    assert.match(stdout, /words$/);
    const head = await run("curl", ["-sS", "--http2-prior-knowledge", "-I", `${url}/hi`]);
    assert.match(head.stdout, /content-length: 16/);
  });

  test("node:http2: echo, hints, early answers, resets and an extended CONNECT", async () => {
    const session = connect(url);
    await once(session, "remoteSettings");
    const hints = session.request({ ":path": "/hints" });
    const [headers] = (await once(hints, "headers")) as [Record<string, unknown>];
    assert.equal(headers[":status"], 103);
    assert.equal(await textOf(hints), "hello from here\n");

    const early = session.request({ ":path": "/early", ":method": "POST" });
    early.write("part");
    assert.equal(await textOf(early), "hello from here\n");

    const broken = session.request({ ":path": "/reset" });
    await assert.rejects(textOf(broken), /NGHTTP2_INTERNAL_ERROR/);

    const given = session.request({ ":path": "/hold" });
    await delay(10);
    given.close(8);
    await once(given, "close");
    const { app } = stage;
    for (let tries = 0; app.seen.at(-1)?.reset === undefined && tries < 100; tries++)
      await delay(5);
    assert.deepEqual(app.seen.at(-1)?.reset, { kind: "remote-reset", http2ErrorCode: 8 });

    const chat = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": "/chat",
    });
    const [answer] = (await once(chat, "response")) as [Record<string, unknown>];
    assert.equal(answer[":status"], 200);
    assert.equal(answer["x-method"], "GET");
    chat.end("frames");
    assert.equal(await textOf(chat), "frames");
    assert.ok(stage.app.seen.at(-1)?.head.fields.has("sec-websocket-key"));
    session.close();
    await once(session, "close");
  });

  test("h2load and curl over TLS, by ALPN", { skip: missing("h2load") }, async () => {
    const app = makeApp();
    const listener = createTlsServer({ ...testKeyPair(), ALPNProtocols: ["h2"] }, (socket) => {
      serve(openTransport(openingOf(socket), systemClock), app);
    });
    await once(listener.listen(0, "127.0.0.1"), "listening");
    const secure = `https://127.0.0.1:${portOf(listener)}`;
    const flags = ["-n", "2000", "-c", "4", "-m", "20"];
    const { stdout } = await run("h2load", [...flags, `${secure}/bytes/100000`]);
    assert.match(stdout, /2000 succeeded, 0 failed, 0 errored/);
    const echoed = await run("curl", ["-sSki", "--http2", "-d", "words", `${secure}/echo`]);
    assert.match(echoed.stdout, /^HTTP\/2 200[\s\S]*words$/);
    listener.close();
  });

  test("node:http2: a drain loses no request", async () => {
    const session = connect(url);
    await once(session, "remoteSettings");
    const server = stage.servers.at(-1);
    const slow = session.request({ ":path": "/echo", ":method": "POST" });
    await once(slow, "response");
    server?.drain();
    await once(session, "goaway");
    slow.end("until the end");
    assert.equal(await textOf(slow), "until the end");
    await once(session, "close");
    await server?.closed;
  });
});

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = "";
  for await (const piece of stream) text += String(piece);
  return text;
}

async function dialPort(port: number): Promise<ClientStage> {
  return dialOver(openTransport(openingOf(await dial(port)), systemClock));
}

describe("our client of node:http2's server", { timeout: 60_000 }, () => {
  let server: NodeServer;
  before(async () => {
    server = createServer({ settings: { enableConnectProtocol: true } });
    server.on("stream", (stream: ServerHttp2Stream, headers) => {
      if (headers[":protocol"] === "websocket") {
        stream.respond({ ":status": 200 });
        stream.pipe(stream);
        return;
      }
      if (headers[":path"] === "/refuse") {
        stream.on("error", () => undefined);
        stream.close(7);
        return;
      }
      if (headers[":path"] === "/hints") stream.additionalHeaders({ ":status": 103, link: "</a>" });
      stream.respond(
        { ":status": 200, "x-cookie": headers.cookie ?? "" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": "t" }));
      stream.pipe(stream);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
  });
  after(() => server.close());

  test("bodies both ways, trailers, hints, upgrades, refusals", async () => {
    const { client } = await dialPort(portOf(server));
    const answer = new Answer();
    const fields = new Fields(["cookie", "a=b; c=d"]);
    const head = requestOf("/hints", { method: "POST", fields });
    const writer = client.open(head, false, answer);
    const block = Buffer.alloc(50_000, "b");
    for (let round = 0; round < 40; round++) {
      const before = answer.writableCalls;
      if (!writer.body(block, 0, block.length))
        await answer.until(() => answer.writableCalls > before);
    }
    writer.end(undefined);
    await answer.done;
    assert.equal(answer.interims[0]?.status, 103);
    assert.equal(answer.bodyBytes, 2_000_000);
    assert.equal(answer.response?.fields.get("x-cookie"), "a=b; c=d");
    assert.deepEqual(answer.trailers?.flat, ["x-trailer", "t"]);

    const refused = new Answer();
    client.open(requestOf("/refuse"), true, refused);
    await refused.done;
    assert.deepEqual(refused.failure, { kind: "refused" });

    const chat = new Answer();
    const chatter = client.open(requestOf("/chat", { upgrade: "websocket" }), false, chat);
    await chat.until(() => chat.response !== undefined);
    chatter.body(Buffer.from("frames"), 0, 6);
    chatter.end(undefined);
    await chat.done;
    assert.deepEqual([chat.response?.status, chat.text], [101, "frames"]);
    client.drain();
    await client.closed;
  });

  test("a hundred requests at once", async () => {
    const { client } = await dialPort(portOf(server));
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const answer = new Answer();
        const writer = client.open(requestOf(`/${index}`, { method: "POST" }), false, answer);
        const text = Buffer.from(`body ${index}`);
        writer.body(text, 0, text.length);
        writer.end(undefined);
        await answer.done;
        return answer.text;
      }),
    );
    assert.deepEqual(
      answers,
      Array.from({ length: 100 }, (_, index) => `body ${index}`),
    );
    assert.equal(client.servedRequests, 100);
    client.drain();
    await client.closed;
  });
});

describe("our client of our server inside an HBONE tunnel", { timeout: 60_000 }, () => {
  test("large bodies both ways at once, and many small requests", async () => {
    const app = makeApp();
    const pair = await sessionPair((tunnel) => {
      serve(openTransport(openingOf(tunnel.accept([])), systemClock), app);
    });
    const opened = await pair.client.connect(
      { authority: "10.0.0.1:80", headers: [] },
      neverAborts,
    );
    if (opened.kind !== "open") throw new Error("refused");
    const { client } = dialOver(openTransport(openingOf(opened.stream), systemClock));
    const block = Buffer.alloc(64 * 1024, "b");
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const answer = new Answer();
        const writer = client.open(requestOf("/echo", { method: "POST" }), false, answer);
        for (let round = 0; round < 100; round++) {
          const before = answer.writableCalls;
          if (!writer.body(block, 0, block.length))
            await answer.until(() => answer.writableCalls > before);
        }
        writer.end(undefined);
        await answer.done;
        assert.equal(answer.bodyBytes, 100 * block.length);
      }),
    );
    for (let round = 0; round < 20; round++) {
      const answers = Array.from({ length: 50 }, () => new Answer());
      for (const answer of answers) client.open(requestOf("/hi"), true, answer);
      await Promise.all(answers.map(({ done }) => done));
      assert.ok(answers.every(({ text }) => text === "hello from here\n"));
    }
    client.drain();
    await client.closed;
    await pair.close();
  });
});

const passBytes = {
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
};
const service: ServiceDefinition = {
  unary: { path: "/test.Echo/Unary", requestStream: false, responseStream: false, ...passBytes },
  both: { path: "/test.Echo/Both", requestStream: true, responseStream: true, ...passBytes },
  fail: { path: "/test.Echo/Fail", requestStream: false, responseStream: false, ...passBytes },
};

describe("gRPC through our server and our client", { timeout: 60_000 }, () => {
  const grpc = new GrpcServer();
  let front: Listening;
  let behind: ClientStage;
  let session: Client;

  before(async () => {
    grpc.addService(service, {
      unary: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) =>
        done(null, call.request),
      both: (call: NodeJS.ReadWriteStream) => {
        call.on("data", (value) => call.write(value));
        call.on("end", () => call.end());
      },
      fail: (_call: unknown, done: (error: object) => void) => {
        const metadata = new Metadata();
        metadata.set("x-why", "because");
        done({ code: status.NOT_FOUND, details: "no such thing", metadata });
      },
    });
    const bound = await promisify(grpc.bindAsync.bind(grpc))(
      "127.0.0.1:0",
      ServerCredentials.createInsecure(),
    );
    behind = await dialPort(Number(bound));
    front = await listen({}, { ...makeApp(), accept: relayTo(behind.client) });
    session = new Client(`127.0.0.1:${front.port}`, credentials.createInsecure());
  });
  after(async () => {
    session.close();
    behind.client.drain();
    await behind.client.closed;
    grpc.forceShutdown();
    await front.close();
  });

  const identity = (value: Buffer): Buffer => value;

  test("calls, large ones too", async () => {
    for (const size of [0, 10, 500_000]) {
      const value = Buffer.alloc(size, "v");
      const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
        session.makeUnaryRequest("/test.Echo/Unary", identity, identity, value, (error, got) =>
          error === null ? resolve(got) : reject(error),
        );
      });
      assert.ok(answer?.equals(value));
    }
  });

  test("errors come as trailers only, with their metadata", async () => {
    const error = await new Promise<{ code: number; details: string; metadata: Metadata } | null>(
      (resolve) => {
        session.makeUnaryRequest("/test.Echo/Fail", identity, identity, Buffer.alloc(0), (failed) =>
          resolve(failed),
        );
      },
    );
    assert.deepEqual([error?.code, error?.details], [status.NOT_FOUND, "no such thing"]);
    assert.deepEqual(error?.metadata.get("x-why"), ["because"]);
  });

  test("streams both ways, and a cancelled one", async () => {
    const call = session.makeBidiStreamRequest("/test.Echo/Both", identity, identity);
    for (let round = 0; round < 20; round++) {
      call.write(Buffer.alloc(30_000, round));
      const [value] = (await once(call, "data")) as [Buffer];
      assert.ok(value.equals(Buffer.alloc(30_000, round)));
    }
    call.end();
    await once(call, "end");

    const other = session.makeBidiStreamRequest("/test.Echo/Both", identity, identity);
    other.write(Buffer.from("x"));
    await once(other, "data");
    other.cancel();
    const [error] = (await once(other, "error")) as [{ code: number }];
    assert.equal(error.code, status.CANCELLED);
    for (let tries = 0; behind.client.activeRequests > 0 && tries < 100; tries++) await delay(5);
    assert.equal(behind.client.activeRequests, 0);
  });
});
