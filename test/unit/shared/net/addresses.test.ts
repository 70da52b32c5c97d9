import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseSpiffe } from "../../../../src/shared/identity/spiffe.ts";
import { formatSocketAddress, parseAuthority } from "../../../../src/shared/net/authority.ts";
import { cidrContains, cidrText, parseCidr } from "../../../../src/shared/net/cidr.ts";
import {
  ipFromBytes,
  ipOf,
  ipToBytes,
  isLoopback,
  parseIp,
} from "../../../../src/shared/net/ip.ts";

const addresses: readonly (readonly [text: string, canonical: string | undefined])[] = [
  ["10.0.0.1", "10.0.0.1"],
  ["::ffff:10.0.0.1", "10.0.0.1"],
  ["::FFFF:0a00:0001", "10.0.0.1"],
  ["2001:DB8:0:0::1", "2001:db8::1"],
  ["::1", "::1"],
  ["010.0.0.1", undefined],
  ["10.0.0", undefined],
  ["10.0.0.256", undefined],
  ["0x0a.0.0.1", undefined],
  ["fe80::1%eth0", undefined],
  ["", undefined],
  ["localhost", undefined],
];

for (const [text, canonical] of addresses)
  test(`address ${JSON.stringify(text)} reads as ${canonical ?? "nothing"}`, () => {
    assert.equal(parseIp(text), canonical);
  });

test("bytes and text are two forms of one address", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(bytes, (raw) => {
      const ip = ipFromBytes(raw);
      assert.ok(ip !== undefined);
      assert.equal(parseIp(ip), ip);
      assert.equal(ipFromBytes(ipToBytes(ip)), ip);
    }),
  );
  assert.equal(ipFromBytes(new Uint8Array(5)), undefined);
});

test("loopback in both families", () => {
  assert.deepEqual(
    ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "::2"].map((ip) => isLoopback(ipOf(ip))),
    [true, true, true, false, false],
  );
});

const prefixes: readonly (readonly [prefix: string, ip: string, inside: boolean])[] = [
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.1.2.3/32", "10.1.2.3", true],
  ["10.1.2.3", "10.1.2.4", false],
  ["0.0.0.0/0", "1.2.3.4", true],
  ["0.0.0.0/0", "::1", false],
  ["10.0.0.128/25", "10.0.0.127", false],
  ["10.0.0.128/25", "10.0.0.200", true],
  ["2001:db8::/33", "2001:db8:7fff::1", true],
  ["2001:db8::/33", "2001:db8:8000::1", false],
  ["::ffff:10.0.0.0/104", "10.9.9.9", true],
];

for (const [prefix, ip, inside] of prefixes)
  test(`${ip} is ${inside ? "inside" : "outside"} ${prefix}`, () => {
    const cidr = parseCidr(prefix);
    assert.ok(cidr !== undefined);
    assert.equal(cidrContains(cidr, ipOf(ip)), inside);
  });

for (const text of ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "x/8", "::/129", "10.0.0.0/8 "])
  test(`${JSON.stringify(text)} is no prefix`, () => assert.equal(parseCidr(text), undefined));

test("a prefix prints as it was meant", () => {
  const cidr = parseCidr("10.0.0.0/8");
  assert.equal(cidr && cidrText(cidr), "10.0.0.0/8");
});

const authorities: readonly (readonly [text: string, read: string | undefined])[] = [
  ["10.0.0.1:80", "address 10.0.0.1 80"],
  ["[2001:db8::1]:443", "address 2001:db8::1 443"],
  ["[::ffff:10.0.0.1]:1", "address 10.0.0.1 1"],
  ["Db.Shop.svc:5432", "host db.shop.svc 5432"],
  ["db.shop.svc.:5432", "host db.shop.svc. 5432"],
  ["10.0.0.1", undefined],
  ["10.0.0.1:65536", undefined],
  ["10.0.0.1:-1", undefined],
  ["2001:db8::1:80", undefined],
  ["[10.0.0.1]:80", undefined],
  ["user@host:80", undefined],
  ["host:80/path", undefined],
  ["host :80", undefined],
  [":80", undefined],
  [`${"a".repeat(64)}:80`, undefined],
  [`${"a.".repeat(127)}a:80`, undefined],
  ["", undefined],
];

for (const [text, read] of authorities)
  test(`authority ${JSON.stringify(text.slice(0, 40))} reads as ${read ?? "nothing"}`, () => {
    const authority = parseAuthority(text);
    const printed =
      authority &&
      (authority.kind === "address"
        ? `address ${authority.address.ip} ${authority.address.port}`
        : `host ${authority.host} ${authority.port}`);
    assert.equal(printed, read);
  });

test("IPv6 stands in brackets", () => {
  assert.equal(formatSocketAddress({ ip: ipOf("::1"), port: 80 }), "[::1]:80");
  assert.equal(formatSocketAddress({ ip: ipOf("10.0.0.1"), port: 80 }), "10.0.0.1:80");
});

for (const text of [
  "spiffe://cluster.local/ns/shop/sa/web/",
  "spiffe://cluster.local/ns/shop/sa/",
  "spiffe://cluster.local/sa/web/ns/shop",
  "SPIFFE://cluster.local/ns/shop/sa/web",
  "spiffe://cluster.local/ns/a/b/sa/web",
  "https://cluster.local/ns/shop/sa/web",
  "spiffe:///ns/shop/sa/web",
])
  test(`${text} is no identity`, () => assert.equal(parseSpiffe(text), undefined));
