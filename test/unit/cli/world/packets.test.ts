import assert from "node:assert/strict";
import { test } from "node:test";
import { beginsTlsRecord, decodeFrame } from "../../../../src/cli/world/packets.ts";

/** An IPv4 TCP segment with options, 4 bytes of Ethernet padding behind it cut by the total length. */
function ipv4Frame(payload: string, totalLength = 20 + 32 + payload.length): Buffer {
  const frame = Buffer.alloc(14 + 20 + 32 + payload.length);
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame.writeUInt16BE(totalLength, 16);
  frame[23] = 6;
  frame.set([10, 10, 1, 10], 26);
  frame.set([10, 10, 2, 10], 30);
  frame.writeUInt16BE(40_000, 34);
  frame.writeUInt16BE(8080, 36);
  frame[46] = 8 << 4;
  frame.write(payload, 66, "latin1");
  return frame;
}

test("an IPv4 TCP segment", () => {
  const packet = decodeFrame(ipv4Frame("hello"));
  assert.deepEqual(packet, {
    protocol: "tcp",
    sourceIp: "10.10.1.10",
    sourcePort: 40_000,
    destinationIp: "10.10.2.10",
    destinationPort: 8080,
    payloadLength: 5,
    payload: Buffer.from("hello"),
  });
});

test("the length on the wire counts, not what was captured", () => {
  assert.equal(decodeFrame(ipv4Frame("hello", 20 + 32 + 60_000))?.payloadLength, 60_000);
});

test("an IPv6 UDP datagram", () => {
  const frame = Buffer.alloc(14 + 40 + 8 + 3);
  frame.writeUInt16BE(0x86dd, 12);
  frame.writeUInt16BE(11, 18);
  frame[20] = 17;
  frame.set([0xfd, 0x10], 22);
  frame[37] = 1;
  frame.set([0xfd, 0x10], 38);
  frame[53] = 2;
  frame.writeUInt16BE(1000, 54);
  frame.writeUInt16BE(53, 56);
  frame.write("abc", 62, "latin1");
  const packet = decodeFrame(frame);
  assert.equal(packet?.protocol, "udp");
  assert.equal(packet?.sourceIp, "fd10::1");
  assert.equal(packet?.destinationIp, "fd10::2");
  assert.equal(packet?.destinationPort, 53);
  assert.equal(packet?.payloadLength, 3);
});

test("a frame cut anywhere is decoded or refused, never misread beyond its end", () => {
  const whole = ipv4Frame("hello");
  for (let length = 0; length < whole.length; length++) {
    const packet = decodeFrame(whole.subarray(0, length));
    if (length < 14 + 20 + 20) assert.equal(packet, undefined);
    else assert.equal(packet?.destinationPort, 8080);
  }
});

test("other protocols are no packets", () => {
  const icmp = ipv4Frame("");
  icmp[23] = 1;
  assert.equal(decodeFrame(icmp), undefined);
  const arp = ipv4Frame("");
  arp.writeUInt16BE(0x0806, 12);
  assert.equal(decodeFrame(arp), undefined);
});

test("TLS records are told from text", () => {
  assert.ok(beginsTlsRecord(Buffer.from([0x17, 3, 3, 0, 20])));
  assert.ok(beginsTlsRecord(Buffer.from([0x16, 3, 1, 0, 20])));
  assert.ok(!beginsTlsRecord(Buffer.from("GET / HTTP/1.1")));
  assert.ok(!beginsTlsRecord(Buffer.alloc(0)));
});
