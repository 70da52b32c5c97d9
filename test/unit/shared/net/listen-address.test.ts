import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatListenAddress,
  parseListenAddress,
} from "../../../../src/shared/net/listen-address.ts";

for (const [text, host, port] of [
  ["127.0.0.1:15010", "127.0.0.1", 15010],
  ["[::1]:0", "::1", 0],
  ["localhost:80", "localhost", 80],
  [":15012", "::", 15012],
] as const)
  test(`${text} is an address to listen on`, () =>
    assert.deepEqual(parseListenAddress(text), { host, port }));

for (const text of ["", "15010", "127.0.0.1", "::1:80", "[x]:80", "a:65536", "a:-1", "a b:1"])
  test(`${JSON.stringify(text)} is none`, () => assert.equal(parseListenAddress(text), undefined));

test("IPv6 is written in brackets", () =>
  assert.equal(formatListenAddress({ host: "::", port: 1 }), "[::]:1"));
