/**
 * DNS packets from a pod: always one sound answer or none, with the id and the question that came; never an exception.
 * Answers of nameservers, when we read them ourselves, likewise. The first octet chooses.
 */
import assert from "node:assert/strict";
import { systemClock } from "../../src/shared/base/clock.ts";
import { DnsHandler } from "../../src/ztunnel/dns/handler.ts";
import { decodeAddresses } from "../../src/ztunnel/dns/lookup.ts";
import {
  parseClientMessage,
  readQuestions,
  recordTypeName,
} from "../../src/ztunnel/dns/message.ts";
import { foldLabels, nameText } from "../../src/ztunnel/dns/name.ts";
import {
  CountingMetrics,
  client,
  collectingLogger,
  query,
  reply,
  service,
  store,
  wireName,
  workload,
} from "../unit/ztunnel/dns/fixture.ts";
import { fuzz } from "./harness.ts";

const many = Array.from({ length: 80 }, (_, index) => `10.2.0.${index + 1}`);
const mesh = store(
  [
    service({ hostname: "web.ns1.svc.cluster.local", vips: ["10.1.0.1", "fd00::1"] }),
    service({ hostname: "big.ns1.svc.cluster.local", vips: many }),
    service({ hostname: "*.wild.example", vips: ["10.1.0.2"] }),
    service({ hostname: "four.example", vips: ["10.1.0.3"], ipFamilies: "IPv4Only" }),
  ],
  [workload({ uid: "a" })],
);

const forwarded = Buffer.from("the nameserver's answer");
const metrics = new CountingMetrics();
const handler = new DnsHandler(
  {
    view: mesh,
    client: () => client,
    searchDomains: () => ["corp.example"],
    forward: async (packet) =>
      packet.length % 2 === 0
        ? { kind: "response", packet: forwarded }
        : { kind: "failed", reason: "timed out" },
    metrics,
    logger: collectingLogger([], "off"),
    clock: systemClock,
    random: () => 0.5,
  },
  { clusterDomain: "cluster.local", ipv6Enabled: true },
);

function checkAnswer(packet: Buffer, answer: Buffer, protocol: "udp" | "tcp"): string {
  assert.equal(answer.readUInt16BE(0), packet.readUInt16BE(0), "the id");
  const flags = answer.readUInt16BE(2);
  assert.ok((flags & 0x8000) !== 0, "it is an answer");
  assert.ok(answer.length <= (protocol === "tcp" ? 65_535 : 65_507));
  const asked = readQuestions(packet);
  const back = readQuestions(answer);
  assert.ok(back !== undefined, "its question section is sound");
  if (answer.readUInt16BE(4) > 0) assert.deepEqual(back.questions, asked?.questions);
  const records = answer.readUInt16BE(6);
  const addresses = decodeAddresses(answer);
  if ((flags & 0xf) === 0) assert.ok(addresses && addresses.addresses.length <= records);
  const more = answer.readUInt16BE(10);
  return `answered ${flags & 0xf} ${Math.min(records, 3)} ${(flags & 0x200) !== 0} ${more}`;
}

async function runQuery(packet: Buffer, protocol: "udp" | "tcp"): Promise<string> {
  const message = parseClientMessage(packet);
  if (message.kind === "query")
    for (const { name, type } of message.questions) {
      assert.match(nameText(name), /^[!-~]*\.$/);
      assert.equal(foldLabels(name).length, name.length);
      recordTypeName(type);
    }
  const answer = await handler.handle(packet, protocol);
  if (answer === undefined) {
    assert.equal(message.kind, "unreadable");
    return "none";
  }
  if (answer === forwarded) {
    const types =
      message.kind === "query" ? message.questions.map((one) => recordTypeName(one.type)) : [];
    return `forwarded ${message.kind} ${types.slice(0, 2).join(" ")}`;
  }
  const reason = message.kind === "malformed" ? message.reason : "";
  return `${message.kind} ${reason} ${checkAnswer(packet, Buffer.from(answer), protocol)}`;
}

function runReply(packet: Buffer): string {
  const decoded = decodeAddresses(packet);
  if (decoded === undefined) return "reply refused";
  assert.ok(decoded.addresses.length * 15 <= packet.length);
  return `reply ${Math.min(decoded.addresses.length, 3)} ${decoded.truncated}`;
}

async function run(input: Buffer): Promise<string> {
  const how = (input[0] ?? 0) % 4;
  const packet = input.subarray(1);
  if (how === 3) return runReply(packet);
  return runQuery(packet, how === 1 ? "tcp" : "udp");
}

const framed = (how: number, packet: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([how]), packet]);

fuzz({
  name: "dns",
  run,
  seeds: [
    framed(0, query({ name: "web.ns1.svc.cluster.local" })),
    framed(0, query({ name: "web", type: 28 })),
    framed(0, query({ name: "WeB.ns1.corp.example" })),
    framed(0, query({ name: "big.ns1", edns: { payload: 4096 } })),
    framed(0, query({ name: "big.ns1", edns: { payload: 100, version: 1 } })),
    framed(1, query({ name: "big.ns1.svc.cluster.local" })),
    framed(0, query({ name: "x.y.wild.example" })),
    framed(0, query({ name: "four.example", type: 28 })),
    framed(0, query({ name: "example.org", type: 15 })),
    framed(3, reply(query({ name: "example.org" }))),
  ],
  dictionary: [
    Buffer.from("c00c", "hex"),
    Buffer.from("ffff", "hex"),
    Buffer.from("3f", "hex"),
    Buffer.from("00002910000000000000", "hex"),
    wireName("web.ns1.svc.cluster.local"),
    wireName("corp.example"),
  ],
});
