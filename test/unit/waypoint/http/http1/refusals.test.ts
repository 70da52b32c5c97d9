/** Requests with two readings, or none: each is refused, and nothing behind it is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerOk, ServerUnderTest } from "../../../../support/waypoint/http1.ts";

const host = "Host: web\r\n";
const get = (fields: string): string => `GET / HTTP/1.1\r\n${host}${fields}\r\n`;
const post = (fields: string, body: string): string =>
  `POST / HTTP/1.1\r\n${host}${fields}\r\n${body}`;

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n";

/** Name, octets, status. None of them reaches the application. */
const refusedHeads: readonly (readonly [string, string, number])[] = [
  ["CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"), 400],
  ["TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400],
  ["TE.TE", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"), 501],
  ["TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""), 501],
  ["TE list", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501],
  ["TE identity", post("Transfer-Encoding: identity\r\n", ""), 501],
  ["TE with vertical tab", post("Transfer-Encoding: \vchunked\r\n", ""), 400],
  ["TE quoted", post('Transfer-Encoding: "chunked"\r\n', ""), 501],
  ["TE in HTTP/1.0", `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n`, 400],
  ["CL twice, equal", post("Content-Length: 1\r\nContent-Length: 1\r\n", "a"), 400],
  ["CL twice, different", post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"), 400],
  ["CL list", post("Content-Length: 1, 1\r\n", "a"), 400],
  ["CL signed", post("Content-Length: +1\r\n", "a"), 400],
  ["CL negative", post("Content-Length: -1\r\n", ""), 400],
  ["CL hexadecimal", post("Content-Length: 0x1\r\n", "a"), 400],
  ["CL empty", post("Content-Length: \r\n", ""), 400],
  ["CL too large", post("Content-Length: 99999999999999999999\r\n", ""), 400],
  ["folded", get("A: b\r\n c\r\n"), 400],
  ["folded with tab", get("A: b\r\n\tc\r\n"), 400],
  ["first line folded", `GET / HTTP/1.1\r\n Host: web\r\n\r\n`, 400],
  ["bare LF after a field", `GET / HTTP/1.1\r\nHost: web\nA: b\r\n\r\n`, 400],
  ["bare LF everywhere", "GET / HTTP/1.1\nHost: web\n\n", 400],
  ["bare LF after the request line", `GET / HTTP/1.1\n${host}\r\n`, 400],
  ["bare CR in a value", get("A: b\rc\r\n"), 400],
  ["NUL in a value", get("A: b\0c\r\n"), 400],
  ["NUL in a name", get("A\0: b\r\n"), 400],
  ["control in a value", get("A: b\x01c\r\n"), 400],
  ["DEL in a value", get("A: b\x7fc\r\n"), 400],
  ["space before colon", get("A : b\r\n"), 400],
  ["tab before colon", get("A\t: b\r\n"), 400],
  ["space before TE's colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400],
  ["no colon", get("Abc\r\n"), 400],
  ["empty name", get(": b\r\n"), 400],
  ["name with parenthesis", get("A(b): c\r\n"), 400],
  ["name beyond ASCII", get("\xc4: c\r\n"), 400],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", `GET / HTTP/1.1\r\n${host}Host: other\r\n\r\n`, 400],
  ["equal Hosts", `GET / HTTP/1.1\r\n${host}${host}\r\n`, 400],
  ["Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400],
  ["Host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["Host with user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400],
  ["Host with space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
  ["Host with a word as port", "GET / HTTP/1.1\r\nHost: a:http\r\n\r\n", 400],
  ["unknown method", `FROB / HTTP/1.1\r\n${host}\r\n`, 400],
  ["method in lower case", `get / HTTP/1.1\r\n${host}\r\n`, 400],
  ["two spaces", `GET  / HTTP/1.1\r\n${host}\r\n`, 400],
  ["tab for a space", `GET\t/ HTTP/1.1\r\n${host}\r\n`, 400],
  ["space in the target", `GET /a b HTTP/1.1\r\n${host}\r\n`, 400],
  ["space at the end", `GET / HTTP/1.1 \r\n${host}\r\n`, 400],
  ["no version", `GET /\r\n${host}\r\n`, 400],
  ["version 0.9", `GET / HTTP/0.9\r\n${host}\r\n`, 426],
  ["version 1.2", `GET / HTTP/1.2\r\n${host}\r\n`, 426],
  ["version 2.0", `GET / HTTP/2.0\r\n${host}\r\n`, 426],
  ["version 11", `GET / HTTP/11\r\n${host}\r\n`, 400],
  ["version in lower case", `GET / http/1.1\r\n${host}\r\n`, 400],
  ["HTTP/1.0", `GET / HTTP/1.0\r\n${host}\r\n`, 426],
  ["target beyond ASCII", `GET /\xe4 HTTP/1.1\r\n${host}\r\n`, 400],
  ["target without slash", `GET web HTTP/1.1\r\n${host}\r\n`, 400],
  ["star with GET", `GET * HTTP/1.1\r\n${host}\r\n`, 400],
  ["absolute form of another scheme", `GET ftp://web/ HTTP/1.1\r\n${host}\r\n`, 400],
  ["absolute form without host", `GET http:///x HTTP/1.1\r\n${host}\r\n`, 400],
  ["absolute form with user", `GET http://a@b/x HTTP/1.1\r\n${host}\r\n`, 400],
  ["CONNECT without port", `CONNECT web HTTP/1.1\r\n${host}\r\n`, 400],
  ["CONNECT with path", `CONNECT /x HTTP/1.1\r\n${host}\r\n`, 400],
  ["CONNECT with body", `CONNECT web:80 HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\na`, 400],
  [
    "upgrade with body",
    post("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", "a"),
    400,
  ],
  [
    "upgrade with chunks",
    post(
      "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
      "0\r\n\r\n",
    ),
    400,
  ],
  [
    "Connection names Content-Length",
    post("Connection: content-length\r\nContent-Length: 1\r\n", "a"),
    400,
  ],
  ["Connection names Host", get("Connection: close, host\r\n"), 400],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["nothing but line ends", "\r\n\r\n\r\n\r\n", 400],
];

for (const [name, octets, status] of refusedHeads)
  test(`refuses ${name}`, () => {
    const whole = new ServerUnderTest();
    whole.transport.play(octets + smuggled);
    assert.deepEqual(whole.requests, [], "reached the application");
    assert.match(whole.transport.written, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(whole.transport.written, /\r\nconnection: close\r\n/);
    assert.equal(whole.transport.ending, "closed");
    assert.equal(whole.refused.length, 1);
    assert.equal(whole.refused[0]?.status, status);

    const bytewise = new ServerUnderTest();
    bytewise.transport.play(octets + smuggled, 1);
    assert.deepEqual(bytewise.requests, []);
    assert.equal(bytewise.refused[0]?.status, status);
  });

/** Bodies that break after a good head: the application sees the break, and nothing that follows is a request. */
const brokenBodies: readonly (readonly [string, string])[] = [
  ["size is not hexadecimal", "g\r\n"],
  ["size is negative", "-1\r\n"],
  ["size is signed", "+1\r\na\r\n"],
  ["size with 0x", "0x1\r\na\r\n"],
  ["size is empty", "\r\n"],
  ["size with space before", " 1\r\na\r\n"],
  ["size with space behind", "1 \r\na\r\n"],
  ["size overflows", "fffffffffffffffff\r\n"],
  ["size with 14 digits", "1ffffffffffffff\r\n"],
  ["bare LF after the size", "1\na\r\n"],
  ["bare CR after the size", "1\ra\r\n"],
  ["longer than its size", "1\r\nab\r\n"],
  ["bare LF after the data", "1\r\na\n"],
  ["bare CR after the data", "1\r\na\r1\r\n"],
  ["extension with a bare LF", "1;a\nb\r\na\r\n"],
  ["extension with a bare CR", "1;a\rb\r\na\r\n"],
  ["extension without name", "1;\r\na\r\n"],
  ["extension with a control", "1;a=\x01\r\na\r\n"],
  ["extension with an open quote", '1;a="b\r\na\r\n'],
  ["extension without end", `1;${"a".repeat(2000)}`],
  ["bare LF after the last chunk", "0\r\n\n"],
  ["trailers with a bare LF", "0\r\nA: b\n\r\n"],
  ["trailer without colon", "0\r\nAb\r\n\r\n"],
  ["trailer with space before colon", "0\r\nA : b\r\n\r\n"],
  ["folded trailer", "0\r\nA: b\r\n c\r\n\r\n"],
];

for (const [name, body] of brokenBodies)
  for (const pieceBytes of [Number.POSITIVE_INFINITY, 1])
    test(`refuses a chunked body: ${name}, in pieces of ${pieceBytes}`, () => {
      const under = new ServerUnderTest();
      under.transport.play(post("Transfer-Encoding: chunked\r\n", body + smuggled), pieceBytes);
      assert.equal(under.requests.length, 1);
      const [request] = under.requests;
      assert.equal(request?.reset, "protocol-error");
      assert.equal(request?.ended, false);
      // The application still answers; then the connection ends.
      if (request !== undefined) answerOk(request);
      assert.match(under.transport.written, /\r\nconnection: close\r\n/);
      assert.equal(under.transport.ending, "closed");
      assert.equal(under.requests.length, 1);
    });
