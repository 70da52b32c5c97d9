/** The SOCKS5 handshake: one closed outcome, the same one however the octets come, and more octets never take it back. */
import assert from "node:assert/strict";
import {
  MAX_SOCKS_MESSAGE,
  readGreeting,
  readRequest,
  type SocksMessage,
} from "../../src/ztunnel/proxy/socks5-protocol.ts";
import { fuzz } from "./harness.ts";

function check<T>(read: (bytes: Uint8Array) => SocksMessage<T>, bytes: Buffer): SocksMessage<T> {
  const whole = read(bytes);
  if (whole.kind === "more") assert.ok(bytes.length < MAX_SOCKS_MESSAGE);
  if (whole.kind === "read") assert.ok(whole.length > 0 && whole.length <= bytes.length);
  // The first prefix that decides, decides for all.
  for (let length = 0; length <= Math.min(bytes.length, MAX_SOCKS_MESSAGE + 1); length++) {
    const part = read(bytes.subarray(0, length));
    if (part.kind === "more") continue;
    assert.deepEqual(part, whole);
    break;
  }
  return whole;
}

function run(input: Buffer): string {
  const greeting = check(readGreeting, input);
  if (greeting.kind !== "read")
    return `greeting ${greeting.kind === "refused" ? greeting.reason.replace(/\d+/g, "N") : "more"}`;
  const request = check(readRequest, input.subarray(greeting.length));
  if (request.kind === "refused") return request.reason.replace(/\d+/g, "N");
  return request.kind === "more" ? "more" : request.value.kind;
}

fuzz({
  name: "socks5",
  run,
  seeds: [
    "05010005010001 0a000001 0050",
    "0502010005010004 fd000000000000000000000000000001 01bb",
    "050100050100030b6578616d706c652e6f72671f90",
    "05010005010003083132372e302e302e310050",
    "050102",
    "050100050200010a0000010050",
    "04010050",
  ].map((hex) => Buffer.from(hex.replaceAll(" ", ""), "hex")),
  maxBytes: 600,
});
