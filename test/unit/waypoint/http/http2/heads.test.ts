import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StreamError } from "../../../../../src/shared/hbone/http2/errors.ts";
import {
  type HeadRules,
  parseRequest,
  parseResponse,
  parseTrailers,
} from "../../../../../src/waypoint/http/http2/heads.ts";

const rules: HeadRules = { maxHeaders: 100, underscoresInNames: "allow", allowConnect: true };
const get = [":method", "GET", ":scheme", "http", ":path", "/a?b", ":authority", "shop.example"];
const connect = [":method", "CONNECT", ":authority", "10.0.0.1:80"];
const websocket = [":method", "CONNECT", ":protocol", "WebSocket", ...get.slice(2)];

describe("a request's head", () => {
  test("is read into its parts", () => {
    const flat = [...get, "accept", "*/*", "content-length", "5", "te", "trailers"];
    const { head, contentLength } = parseRequest(flat, rules);
    assert.deepEqual(
      [head.method, head.scheme, head.authority, head.path, head.upgrade],
      ["GET", "http", "shop.example", "/a?b", undefined],
    );
    const expected = ["accept", "*/*", "content-length", "5", "te", "trailers"];
    assert.deepEqual(head.fields.flat, expected);
    assert.equal(contentLength, 5);
  });

  test("joins the crumbs of a cookie", () => {
    const { head } = parseRequest([...get, "cookie", "a=b", "x", "y", "cookie", "c=d"], rules);
    assert.deepEqual(head.fields.flat, ["cookie", "a=b; c=d", "x", "y"]);
  });

  test("may name its host in host", () => {
    const { head } = parseRequest([...get.slice(0, 6), "host", "shop.example"], rules);
    assert.equal(head.authority, "shop.example");
    assert.deepEqual(head.fields.flat, []);
    assert.equal(parseRequest([...get, "host", "Shop.Example"], rules).head.fields.flat.length, 0);
  });

  test("of CONNECT has no path; of an extended one it is an upgrade", () => {
    const plain = parseRequest(connect, rules);
    assert.deepEqual([plain.isConnect, plain.head.method, plain.head.path], [true, "CONNECT", ""]);
    const extended = parseRequest(websocket, rules);
    const { method, upgrade, path } = extended.head;
    assert.deepEqual(
      [extended.isConnect, method, upgrade, path],
      [true, "GET", "websocket", "/a?b"],
    );
  });

  test("with too many fields is said to be so", () => {
    const many = Array.from({ length: 101 }, (_, index) => [`f${index}`, "x"]).flat();
    assert.equal(parseRequest([...get, ...many], rules).tooMany, true);
    assert.equal(parseRequest([...get, ...many.slice(2)], rules).tooMany, false);
  });

  test("with underscores is dropped field by field or refused", () => {
    const flat = [...get, "a_b", "1", "c", "2"];
    const drop = parseRequest(flat, { ...rules, underscoresInNames: "drop" });
    assert.deepEqual(drop.head.fields.flat, ["c", "2"]);
    assert.throws(
      () => parseRequest(flat, { ...rules, underscoresInNames: "reject" }),
      StreamError,
    );
  });
});

const malformed: Readonly<Record<string, readonly string[]>> = {
  "no method": get.slice(2),
  "two methods": [...get, ":method", "GET"],
  "a method that is no token": [":method", "G ET", ...get.slice(2)],
  "no scheme": [...get.slice(0, 2), ...get.slice(4)],
  "an unknown scheme": [":method", "GET", ":scheme", "file", ...get.slice(4)],
  "no path": [...get.slice(0, 4), ...get.slice(6)],
  "an empty path": [":method", "GET", ":scheme", "http", ":path", "", ":authority", "a"],
  "a path without a slash": [":method", "GET", ":scheme", "http", ":path", "a", ":authority", "a"],
  "an absolute path": [
    ":method",
    "GET",
    ":scheme",
    "http",
    ":path",
    "http://a/",
    ":authority",
    "a",
  ],
  "a path with a space": [":method", "GET", ":scheme", "http", ":path", "/ b", ":authority", "a"],
  "a path with CR LF": [
    ":method",
    "GET",
    ":scheme",
    "http",
    ":path",
    "/\r\nx: y",
    ":authority",
    "a",
  ],
  "an asterisk with GET": [":method", "GET", ":scheme", "http", ":path", "*", ":authority", "a"],
  "no authority": get.slice(0, 6),
  "user information": [...get.slice(0, 6), ":authority", "root@shop.example"],
  "an authority with a slash": [...get.slice(0, 6), ":authority", "shop/../x"],
  "an authority with a space": [...get.slice(0, 6), ":authority", "a b"],
  "an authority with LF": [...get.slice(0, 6), ":authority", "a\nb"],
  "another host": [...get, "host", "admin.example"],
  "two hosts": [...get, "host", "shop.example", "host", "shop.example"],
  "an unknown pseudo header": [...get, ":x", "y"],
  "a pseudo header of answers": [...get, ":status", "200"],
  "a pseudo header behind a field": [...get.slice(0, 6), "a", "b", ...get.slice(6)],
  "a name in upper case": [...get, "Accept", "x"],
  "a name with a space": [...get, "a b", "x"],
  "a name with a colon": [...get, "a:b", "x"],
  "an empty name": [...get, "", "x"],
  "a value with CR": [...get, "a", "x\ry"],
  "a value with LF": [...get, "a", "x\ny"],
  "a value with NUL": [...get, "a", "x\0y"],
  "a value with a space in front": [...get, "a", " x"],
  "a value with a tab behind": [...get, "a", "x\t"],
  connection: [...get, "connection", "close"],
  "keep-alive": [...get, "keep-alive", "1"],
  "proxy-connection": [...get, "proxy-connection", "close"],
  "transfer-encoding": [...get, "transfer-encoding", "chunked"],
  upgrade: [...get, "upgrade", "h2c"],
  "te other than trailers": [...get, "te", "gzip"],
  "two content-lengths": [...get, "content-length", "5", "content-length", "5"],
  "a content-length list": [...get, "content-length", "5, 5"],
  "a negative content-length": [...get, "content-length", "-5"],
  "a signed content-length": [...get, "content-length", "+5"],
  "a huge content-length": [...get, "content-length", "9".repeat(20)],
  "CONNECT with path": [...connect, ":path", "/"],
  "CONNECT without port": [":method", "CONNECT", ":authority", "a"],
  "CONNECT with content-length": [...connect, "content-length", "0"],
  ":protocol without CONNECT": [...get, ":protocol", "websocket"],
  ":protocol that is no token": [":method", "CONNECT", ":protocol", "a b", ...get.slice(2)],
};

describe("a malformed request", () => {
  for (const [name, flat] of Object.entries(malformed))
    test(name, () => assert.throws(() => parseRequest(flat, rules), StreamError));

  test("extended CONNECT that was not announced", () => {
    const plain = { ...rules, allowConnect: false };
    assert.throws(() => parseRequest(websocket, plain), StreamError);
  });
});

describe("an answer's head and trailers", () => {
  test("are read", () => {
    const { head, contentLength } = parseResponse([":status", "204", "a", "b"], rules);
    assert.deepEqual([head.status, head.fields.flat, contentLength], [204, ["a", "b"], -1]);
    const trailers = parseTrailers(["grpc-status", "0", "content-length", "4"], rules);
    assert.deepEqual(trailers.flat, ["grpc-status", "0"]);
  });

  const bad: Readonly<Record<string, readonly string[]>> = {
    "no status": ["a", "b"],
    "a status of two digits": [":status", "99"],
    "status 101": [":status", "101"],
    "a pseudo header of requests": [":status", "200", ":path", "/"],
    "transfer-encoding": [":status", "200", "transfer-encoding", "chunked"],
    "a value with CR LF": [":status", "200", "a", "b\r\nc: d"],
  };
  for (const [name, flat] of Object.entries(bad))
    test(name, () => assert.throws(() => parseResponse(flat, rules), StreamError));

  test("pseudo headers in trailers", () => {
    assert.throws(() => parseTrailers([":status", "200"], rules), StreamError);
    assert.throws(() => parseTrailers(["a", "b", ":path", "/"], rules), StreamError);
  });
});
