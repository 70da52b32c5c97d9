import assert from "node:assert/strict";
import { test } from "node:test";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { encodeProxyHeader } from "../../../../src/ztunnel/proxy/proxy-protocol.ts";

const identity = "spiffe://cluster.local/ns/a/sa/b";
const tlv = `d0${identity.length.toString(16).padStart(4, "0")}${Buffer.from(identity).toString("hex")}`;
const signature = "0d0a0d0a000d0a515549540a";

const cases: readonly (readonly [string, string, string, string])[] = [
  ["IPv4", "10.0.0.1", "10.0.0.2", "21110" + "02f" + "0a0000010a0000021f90" + "0050"],
  [
    "IPv6",
    "fd00::1",
    "fd00::2",
    `2121${(36 + 35).toString(16).padStart(4, "0")}fd000000000000000000000000000001fd0000000000000000000000000000021f900050`,
  ],
  ["mixed families", "10.0.0.1", "fd00::2", "21010023"],
];

for (const [name, source, destination, expected] of cases) {
  test(`PROXY v2 header: ${name}`, () => {
    const header = encodeProxyHeader({
      source: { ip: ipOf(source), port: 8080 },
      destination: { ip: ipOf(destination), port: 80 },
      identity,
    });
    assert.equal(header.toString("hex"), signature + expected + tlv);
  });
}
