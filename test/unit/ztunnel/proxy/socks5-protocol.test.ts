import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  readGreeting,
  readRequest,
  replyBytes,
  type SocksMessage,
} from "../../../../src/ztunnel/proxy/socks5-protocol.ts";

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

/** What a row expects: the value read, the answer of a refusal, or `more`. */
function told(message: SocksMessage<unknown>): unknown {
  switch (message.kind) {
    case "more":
      return "more";
    case "read":
      return [message.value, message.length];
    case "refused":
      return hex(message.answer);
  }
}

describe("greeting", () => {
  const rows: readonly (readonly [string, string, unknown])[] = [
    ["nothing yet", "", "more"],
    ["a version alone", "05", "more"],
    ["no login offered alone", "05 01 00", ["no-login", 3]],
    ["no login among others", "05 03 02 01 00", ["no-login", 5]],
    ["more behind it", "05 01 00 05 01", ["no-login", 3]],
    ["a method is missing", "05 02 02", "more"],
    ["only with a login", "05 01 02", "05ff"],
    ["no method at all", "05 00", "05ff"],
    ["SOCKS4", "04 01 00 50", ""],
    ["HTTP", Buffer.from("GET / HTTP/1.1").toString("hex"), ""],
  ];
  for (const [name, input, expected] of rows)
    test(name, () => assert.deepEqual(told(readGreeting(bytes(input))), expected));
});

describe("request", () => {
  const address = (ip: string, port: number): unknown => ({
    kind: "address",
    address: { ip, port },
  });
  const rows: readonly (readonly [string, string, unknown])[] = [
    ["nothing yet", "", "more"],
    ["cut in the head", "05 01 00", "more"],
    ["IPv4", "05 01 00 01 0a000001 0050", [address("10.0.0.1", 80), 10]],
    ["IPv4 cut", "05 01 00 01 0a000001 00", "more"],
    ["IPv6", `05 01 00 04 fd${"00".repeat(14)}01 1f90`, [address("fd00::1", 8080), 22]],
    [
      "IPv4 in IPv6 is IPv4",
      `05 01 00 04 ${"00".repeat(10)}ffff0a000001 0050`,
      [address("10.0.0.1", 80), 22],
    ],
    ["a name", "05 01 00 03 01 61 01bb", [{ kind: "name", name: "a", port: 443 }, 8]],
    ["a name cut", "05 01 00 03 05 61 01bb", "more"],
    ["a name without its length", "05 01 00 03", "more"],
    [
      "an address written as a name",
      `05 01 00 03 08 ${Buffer.from("10.0.0.1").toString("hex")} 0050`,
      [address("10.0.0.1", 80), 15],
    ],
    ["a name of no length", "05 01 00 03 00 0050", "05010001000000000000"],
    ["a name with a zero byte", "05 01 00 03 02 6100 0050", "05010001000000000000"],
    ["a name with a line feed", "05 01 00 03 02 610a 0050", "05010001000000000000"],
    ["BIND", "05 02 00 01 0a000001 0050", "05070001000000000000"],
    ["UDP ASSOCIATE", "05 03 00 01 00000000 0000", "05070001000000000000"],
    ["an unknown type of address", "05 01 00 09", "05080001000000000000"],
    ["another version", "04 01 00 01", ""],
    [
      "the reserved byte is not looked at",
      "05 01 ff 01 0a000001 0050",
      [address("10.0.0.1", 80), 10],
    ],
  ];
  for (const [name, input, expected] of rows)
    test(name, () => assert.deepEqual(told(readRequest(bytes(input))), expected));
});

test("a reply tells no bound address", () => {
  assert.equal(hex(replyBytes(0)), "05000001000000000000");
  assert.equal(hex(replyBytes(5)), "05050001000000000000");
});
