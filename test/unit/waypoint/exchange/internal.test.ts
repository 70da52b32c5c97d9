/** Who may instruct the proxy: what the contract test against Envoy has shown, as a table. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCidr } from "../../../../src/shared/net/cidr.ts";
import { isInternal, privateRanges } from "../../../../src/waypoint/exchange/internal.ts";
import { Fields, type RequestHead } from "../../../../src/waypoint/http/message.ts";
import { downstream } from "../../../support/stream-record.ts";

const tens = [parseCidr("10.0.0.0/8")].flatMap((range) => range ?? []);

function head(forwarded: readonly string[]): RequestHead {
  const fields = new Fields(forwarded.flatMap((value) => ["x-forwarded-for", value]));
  return { method: "GET", scheme: "http", authority: "", path: "/", fields, upgrade: undefined };
}

const cases: readonly (readonly [
  ranges: "none" | "tens" | "private",
  remote: boolean,
  string[],
  boolean,
])[] = [
  ["none", false, ["10.0.0.1"], false],
  ["tens", false, ["10.0.0.1"], true],
  ["tens", false, ["192.168.0.1"], false],
  ["private", false, ["192.168.0.1"], true],
  ["private", false, ["172.31.255.255"], true],
  ["private", false, ["172.32.0.0"], false],
  ["private", false, ["fd00::1"], true],
  ["private", false, ["fc00::1"], false],
  ["private", false, ["::1"], true],
  ["tens", false, [], false],
  ["tens", false, ["10.0.0.1,10.0.0.2"], false],
  ["tens", false, ["10.0.0.1", "10.0.0.2"], false],
  ["tens", false, ["nonsense"], false],
  ["tens", true, [], true],
  ["tens", true, ["10.0.0.1"], false],
];

for (const [named, useRemoteAddress, forwarded, expected] of cases)
  test(`${named}, ${useRemoteAddress ? "remote address" : "forwarded"} ${JSON.stringify(forwarded)}: ${expected}`, () => {
    const internalRanges = { none: [], tens, private: privateRanges }[named];
    const client = downstream({ source: { ip: "10.9.9.9", port: 1 } });
    assert.equal(
      isInternal(head(forwarded), { internalRanges, useRemoteAddress }, client),
      expected,
    );
  });
