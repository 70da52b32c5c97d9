/**
 * HTTP/1.1 from a client or an upstream, first octet: which. However it is split it reads the same; every attempt ends once,
 * nothing is held beyond the limits, and nothing is written behind the answer that ends a connection.
 */
import assert from "node:assert/strict";
import { defaultHttp1ClientSettings, Http1Client } from "../../src/waypoint/http/http1/client.ts";
import { Fields } from "../../src/waypoint/http/message.ts";
import { FakeTransport } from "../support/waypoint/fake-transport.ts";
import { answerOk, ServerUnderTest } from "../support/waypoint/http1.ts";
import { fuzz } from "./harness.ts";

function asServer(text: string, pieceBytes: number): string {
  const under = new ServerUnderTest();
  under.answers = answerOk;
  under.transport.play(text, pieceBytes);
  const refused = under.refused.map(({ status }) => status).join(",");
  const { ending, written } = under.transport;
  const finals = written.match(/HTTP\/1\.1 \d{3}/g)?.length ?? 0;
  const broken = under.requests.some(({ reset }) => reset !== undefined);
  assert.ok(finals <= under.requests.length + under.refused.length);
  if (refused !== "") assert.equal(ending, "closed");
  const seen = under.requests.map(
    ({ head, body, ended }) => `${head.method}${body.length}${ended}`,
  );
  return [ending, refused, broken, ...seen].join(" ");
}

function asClient(text: string, pieceBytes: number): string {
  const transport = new FakeTransport();
  const told: string[] = [];
  let ends = 0;
  let bodyBytes = 0;
  const client = new Http1Client(transport, defaultHttp1ClientSettings, {
    available: () => told.push("available"),
    unusable: () => told.push("unusable"),
  });
  client.start();
  const end = (how: string): void => {
    ends++;
    told.push(how);
  };
  client.open(
    {
      method: "GET",
      scheme: "http",
      authority: "web",
      path: "/",
      fields: new Fields(),
      upgrade: undefined,
    },
    true,
    {
      interim: ({ status }) => told.push(`interim ${status}`),
      head: ({ status }, endStream) => (endStream ? end(`${status} end`) : told.push(`${status}`)),
      body: (_bytes, from, to) => {
        bodyBytes += to - from;
        return true;
      },
      end: () => end("end"),
      reset: ({ kind }) => end(kind),
      writable: () => undefined,
    },
  );
  transport.play(text, pieceBytes);
  transport.playEnd();
  transport.playClosed();
  assert.equal(ends, 1);
  return [...told, bodyBytes].join(" ");
}

function run(input: Buffer): string {
  const text = input.toString("latin1", 1);
  const read = (input[0] ?? 0) % 2 === 0 ? asServer : asClient;
  const whole = read(text, Number.POSITIVE_INFINITY);
  // One octet at a time, and some other size that depends on the input.
  assert.equal(read(text, 1), whole);
  assert.equal(read(text, 2 + (input.length % 17)), whole);
  return whole.replace(/\d{4,}/g, "N").slice(0, 60);
}

const request = (text: string): Buffer => Buffer.from(`\0${text}`, "latin1");
const answer = (text: string): Buffer => Buffer.from(`\x01${text}`, "latin1");

fuzz({
  name: "http1",
  run,
  seeds: [
    request(
      "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ),
    request(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    request(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    ),
    request("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw"),
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    answer(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    answer("HTTP/1.0 200 OK\r\n\r\nuntil the end"),
  ],
  dictionary: [
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Host: b\r\n",
    "\r\n\r\n",
    "\r\n",
    "\n",
    "0\r\n\r\n",
    "fffffffff\r\n",
    " HTTP/1.1\r\n",
    "HTTP/1.1 204 X\r\n",
    "HTTP/1.1 101 X\r\n",
    ';a="',
  ],
  maxBytes: 1024,
});
