/**
 * Odd requests and broken upstreams: ours against Envoy, answer by answer and log line by log line. Where we differ it is
 * listed, and only in one direction: we refuse what Envoy, by leniency, lets through.
 */
import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { withoutEnvoy } from "../../support/envoy.ts";
import { Backend, type HttpPeer, type Outcome, startEnvoy, startOurs } from "./http1-peers.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const host = "Host: web\r\n";
const get = (path: string, fields = ""): string => `GET ${path} HTTP/1.1\r\n${host}${fields}\r\n`;
const post = (fields: string, body: string): string =>
  `POST / HTTP/1.1\r\n${host}${fields}\r\n${body}`;
const chunks = (body: string): string => post("Transfer-Encoding: chunked\r\n", body);

/** Writes the beginning of an answer, then closes in order. */
const cut = (text: string) => (socket: Socket) => {
  socket.write(text);
  setTimeout(() => socket.destroy(), 50);
};
const write = (text: string) => (socket: Socket) => void socket.write(text);

const answers = {
  "/": write(ok),
  "/garbage": write("SSH-2.0-x\r\n\r\n"),
  "/close": (socket: Socket) => void socket.destroy(),
  "/rst": (socket: Socket) => void socket.resetAndDestroy(),
  "/half": cut("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"),
  "/halfchunk": cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
  "/halfhead": cut("HTTP/1.1 200 OK\r\nContent-Le"),
  "/badchunk": write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
  "/cl-te": write(
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ),
  "/cl2": write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
  "/untilclose": (socket: Socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\nok"),
  "/extra": write(`${ok}HTTP/1.1 200 OK\r\n`),
  "/101": write(
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
  ),
  "/103": write(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok}`),
  "/204body": write("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"),
  "/manyheads": write(`HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(150)}Content-Length: 0\r\n\r\n`),
  "/retry/503": write("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"),
  "/retry/close": (socket: Socket) => void socket.destroy(),
  "/timeout/hang": () => undefined,
  "/pertry/hang": () => undefined,
  "/hang": () => undefined,
};

/** Same status, same log (details and flags), same body. */
const same: readonly (readonly [string, string, { readonly halfClose?: boolean }?])[] = [
  ["plain", get("/")],
  ["absolute form", get("http://other/x")],
  ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${host}\r\n`],
  ["GET *", get("*")],
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
  ["Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"],
  ["Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
  ["HTTP/1.0", `GET / HTTP/1.0\r\n${host}\r\n`],
  ["HTTP/0.9", `GET / HTTP/0.9\r\n${host}\r\n`],
  ["HTTP/1.2", `GET / HTTP/1.2\r\n${host}\r\n`],
  ["HTTP/2.0", `GET / HTTP/2.0\r\n${host}\r\n`],
  ["CL.TE", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["TE gzip", post("Transfer-Encoding: gzip\r\n", "")],
  ["TE gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")],
  ["TE.TE", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["TE identity", post("Transfer-Encoding: identity\r\n", "")],
  ["equal lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab")],
  ["different lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "ab")],
  ["length list", post("Content-Length: 2, 2\r\n", "ab")],
  ["signed length", post("Content-Length: +2\r\n", "ab")],
  ["empty length", post("Content-Length:\r\n", "ab")],
  ["chunk size that is none", chunks("xyz\r\n")],
  ["chunk extension", chunks("2;a=b\r\nab\r\n0\r\n\r\n")],
  ["bare LF after a chunk size", chunks("2\nab\r\n0\r\n\r\n")],
  ["NUL", get("/", "A: b\0c\r\n")],
  ["control", get("/", "A: b\x01c\r\n")],
  ["space before colon", get("/", "A : b\r\n")],
  ["no colon", get("/", "Ab\r\n")],
  ["name that is no token", get("/", "A(b: c\r\n")],
  ["value beyond ASCII", get("/", "A: \xe4\r\n")],
  ["unknown method", `FROB / HTTP/1.1\r\n${host}\r\n`],
  ["target without slash", get("web")],
  ["another scheme", get("ftp://a/")],
  ["space in the target", get("/a b")],
  ["target beyond ASCII", get("/\xe4")],
  ["dot segments", get("/a/../direct")],
  ["fragment", get("/a#b")],
  ["escaped NUL", get("/%00")],
  ["escaped slash", get("/a%2fb")],
  ["CONNECT", `CONNECT a:80 HTTP/1.1\r\n${host}\r\n`],
  ["unknown upgrade", get("/", "Connection: upgrade\r\nUpgrade: foo\r\n")],
  [
    "h2c",
    get("/", "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
  ],
  ["large head", get("/", `A: ${"x".repeat(70_000)}\r\n`)],
  ["many fields", get("/", "A: b\r\n".repeat(150))],
  ["TLS", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"],
  ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["expectation", post("Expect: 100-continue\r\nContent-Length: 2\r\n", "ab")],
  ["another expectation", post("Expect: foo\r\nContent-Length: 2\r\n", "ab")],
  ["half-closed after the request", get("/hang"), { halfClose: true }],
  ["empty line first", `\r\n${get("/")}`],
  ["HEAD", `HEAD / HTTP/1.1\r\n${host}\r\n`],
  ["TRACE", `TRACE / HTTP/1.1\r\n${host}\r\n`],
  [
    "answer before the request's end",
    `POST /direct HTTP/1.1\r\n${host}Content-Length: 9\r\n\r\nab`,
  ],
  ...[
    "/direct",
    "/missing",
    "/garbage",
    "/close",
    "/rst",
    "/half",
    "/halfchunk",
    "/halfhead",
    "/badchunk",
    "/cl-te",
    "/cl2",
    "/untilclose",
    "/extra",
    "/103",
    "/204body",
    "/manyheads",
    "/retry/503",
    "/retry/close",
    "/timeout/hang",
    "/pertry/hang",
  ].map((path) => [`upstream ${path}`, get(path)] as const),
];

/** We refuse; Envoy passes it on, mended or not. */
const stricter: readonly (readonly [string, string, number])[] = [
  ["two Hosts", `GET / HTTP/1.1\r\n${host}Host: b\r\n\r\n`, 400],
  ["Host with user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400],
  ["space after a chunk size", chunks("2 \r\nab\r\n0\r\n\r\n"), 400],
  ["chunk longer than its size", chunks("2\r\nabc\r\n0\r\n\r\n"), 400],
  ["folded field", get("/", "A: b\r\n c\r\n"), 400],
  ["bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400],
  ["bare CR", get("/", "A: b\rc\r\n"), 400],
  [
    "Connection names Content-Length",
    post("Connection: content-length\r\nContent-Length: 2\r\n", "ab"),
    400,
  ],
  ["unasked 101", get("/101"), 502],
];

let backend: Backend;
let ours: HttpPeer;
let envoy: HttpPeer;

before(async () => {
  if (withoutEnvoy !== false) return;
  backend = new Backend(answers);
  const web = await backend.start();
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const gone = (closed.address() as AddressInfo).port;
  await new Promise((resolve) => closed.close(resolve));
  ours = await startOurs({ web, gone });
  envoy = await startEnvoy({ web, gone });
});

after(async () => {
  if (withoutEnvoy !== false) return;
  backend.stop();
  await ours.stop();
  await envoy.stop();
});

function comparable({ statuses, body, log }: Outcome): object {
  // Answers behind an interim one begin with a head of their own.
  return { statuses, log, body: statuses.length > 1 ? "" : body };
}

for (const [name, octets, options] of same)
  test(`as Envoy: ${name}`, { skip: withoutEnvoy }, async () => {
    const [one, other] = await Promise.all([
      ours.send(octets, options),
      envoy.send(octets, options),
    ]);
    assert.deepEqual(comparable(one), comparable(other));
  });

for (const [name, octets, status] of stricter)
  test(`stricter than Envoy: ${name}`, { skip: withoutEnvoy }, async () => {
    const [one, other] = await Promise.all([ours.send(octets), envoy.send(octets)]);
    assert.deepEqual(one.statuses, [status]);
    assert.ok((other.statuses[0] ?? 0) < 400, "Envoy has become stricter: move it to the others");
  });
