/**
 * What a peer may put into the headers of a CONNECT and its authority, and what we write from it: never an exception, no
 * long search in a hostile text, and what is written in our form reads back the same. An input is lines: authority, baggage,
 * forwarded, traceparent, SPIFFE URI; then more headers with their names.
 */
import assert from "node:assert/strict";
import type { HeaderField } from "../../src/shared/hbone/tunnel.ts";
import { formatSpiffe, parseSpiffe } from "../../src/shared/identity/spiffe.ts";
import {
  type Authority,
  formatSocketAddress,
  parseAuthority,
} from "../../src/shared/net/authority.ts";
import { familyOf, ipFromBytes } from "../../src/shared/net/ip.ts";
import { parseBaggage } from "../../src/ztunnel/proxy/baggage.ts";
import {
  formatForwarded,
  forwardedHost,
  headerValue,
  traceIdOf,
} from "../../src/ztunnel/proxy/connect-headers.ts";
import { encodeProxyHeader } from "../../src/ztunnel/proxy/proxy-protocol.ts";
import { fuzz } from "./harness.ts";

/** PROXY protocol version 2 read by its specification, apart from the writer. */
function readProxy(bytes: Buffer) {
  assert.equal(bytes.toString("hex", 0, 12), "0d0a0d0a000d0a515549540a");
  assert.equal(bytes[12], 0x21);
  assert.equal(bytes.length, 16 + bytes.readUInt16BE(14));
  const family = bytes.readUInt8(13);
  const size = family === 0x11 ? 4 : family === 0x21 ? 16 : 0;
  const ports = 16 + size * 2;
  const tlv = size === 0 ? 16 : ports + 4;
  assert.equal(bytes.readUInt8(tlv), 0xd0);
  assert.equal(tlv + 3 + bytes.readUInt16BE(tlv + 1), bytes.length);
  const identity = bytes.toString("utf8", tlv + 3);
  if (size === 0) return { family, identity };
  const at = (offset: number): string | undefined =>
    ipFromBytes(bytes.subarray(16 + offset, 16 + offset + size));
  return {
    family,
    identity,
    source: { ip: at(0), port: bytes.readUInt16BE(ports) },
    destination: { ip: at(size), port: bytes.readUInt16BE(ports + 2) },
  };
}

function textOf(authority: Authority): string {
  if (authority.kind === "address") return formatSocketAddress(authority.address);
  return `${authority.host}:${authority.port}`;
}

function runAuthority(text: string): string {
  const authority = parseAuthority(text);
  if (authority === undefined) return "no authority";
  assert.deepEqual(parseAuthority(textOf(authority)), authority);
  if (authority.kind === "host") return "host";
  const { address } = authority;
  assert.equal(forwardedHost([["forwarded", formatForwarded(address, "a.b")]]), "a.b");
  assert.equal(forwardedHost([["forwarded", formatForwarded(address, undefined)]]), undefined);
  return `address of family ${familyOf(address.ip)}`;
}

function runProxy(authority: string, uri: string): string {
  const identity = parseSpiffe(uri);
  if (identity === undefined) return "no identity";
  assert.equal(formatSpiffe(identity), uri);
  const parsed = parseAuthority(authority);
  if (parsed?.kind !== "address") return "identity";
  const source = { ip: parsed.address.ip, port: 65_535 };
  const header = { source, destination: parsed.address, identity: uri };
  assert.deepEqual(readProxy(encodeProxyHeader(header)), {
    family: familyOf(source.ip) === 4 ? 0x11 : 0x21,
    ...header,
  });
  return "PROXY";
}

function run(input: Buffer): string {
  const [authority = "", baggage = "", forwarded = "", trace = "", uri = "", ...more] = input
    .toString("latin1")
    .split("\n");
  const fields: HeaderField[] = [
    ["baggage", baggage],
    ["forwarded", forwarded],
    ...more.map(
      (line): HeaderField => [line.split(" ", 1)[0] ?? "", line.split(" ").slice(1).join(" ")],
    ),
  ];
  const found = parseBaggage(fields);
  for (const value of Object.values(found)) assert.ok(value !== "" && value.trim() === value);
  const host = forwardedHost(fields);
  assert.ok(host === undefined || /^[!-~]+$/.test(host));
  headerValue(fields, "x-forwarded-network");
  const id = traceIdOf(trace);
  assert.ok(id === undefined || (trace.length === 55 && /^[0-9a-f]{32}$/.test(id)));
  return [
    runAuthority(authority),
    runProxy(authority, uri),
    Object.keys(found).sort().join(","),
    host !== undefined,
    id !== undefined,
  ].join("; ");
}

fuzz({
  name: "headers",
  run,
  seeds: [
    [
      "10.0.0.1:80",
      "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=web-1,service.name=web,service.version=v1,cloud.region=r1,cloud.availability_zone=z1",
      'for="10.0.0.9:1234";host=web.shop.svc.cluster.local',
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
      "spiffe://cluster.local/ns/shop/sa/web",
      "x-forwarded-network network1",
      "baggage k8s.deployment.name=web",
    ],
    [
      "[fd00::1]:65535",
      "a=b;c=d , service.name = x ",
      'for=a,host="b";host=c',
      "x",
      "spiffe://a/ns/b/sa/c",
    ],
    ["web.shop.svc.cluster.local:8080", "", "", "", "https://x"],
    ["[::ffff:1.2.3.4]:1", "=,==,=a", 'host=;host=""', "00-0-0-00", "spiffe://"],
  ].map((lines) => Buffer.from(lines.join("\n"))),
  dictionary: [
    "=",
    ",",
    ";",
    '"',
    "host=",
    "[",
    "]",
    ":",
    "%",
    "__proto__",
    "constructor",
    "\n",
    "..",
    "spiffe://",
    "/ns/",
    "/sa/",
    "::ffff:",
  ],
  maxBytes: 65_536,
});
