import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import {
  type AnswerRecords,
  answerResponse,
  errorResponse,
  maxResponseBytes,
} from "../../../../src/ztunnel/dns/answer.ts";
import {
  addressFamilyOf,
  parseClientMessage,
  type Query,
  recordTypeName,
} from "../../../../src/ztunnel/dns/message.ts";
import { decodeName, foldLabels, nameText } from "../../../../src/ztunnel/dns/name.ts";
import { decode, query, type, wireName } from "./fixture.ts";

function parsed(packet: Uint8Array): Query {
  const message = parseClientMessage(packet);
  assert.equal(message.kind, "query");
  return message as Query;
}

/** A header with these counts, then these bytes. */
function packet(
  counts: readonly [number, number, number, number],
  ...rest: readonly Uint8Array[]
): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(0xabcd, 0);
  header.writeUInt16BE(0x0100, 2);
  for (const [index, count] of counts.entries()) header.writeUInt16BE(count, 4 + 2 * index);
  return Buffer.concat([header, ...rest]);
}
const question = Buffer.concat([wireName("a.example"), Buffer.of(0, 1, 0, 1)]);
const opt = (payload = 1232, data: readonly number[] = []): Buffer =>
  Buffer.from([0, 0, 41, payload >> 8, payload & 255, 0, 0, 0, 0, 0, data.length, ...data]);

describe("parseClientMessage", () => {
  it("reads a query", () => {
    const message = parsed(query({ name: "Www.Example.com", type: type.AAAA, id: 7 }));
    assert.equal(message.id, 7);
    assert.deepEqual(message.questions, [{ name: ["Www", "Example", "com"], type: 28, class: 1 }]);
    assert.equal(message.edns, undefined);
  });
  it("reads EDNS", () => {
    const message = parsed(
      query({ name: "a", edns: { payload: 1232, version: 1, flags: 0x8000 } }),
    );
    assert.deepEqual(message.edns, { payloadBytes: 1232, version: 1, dnssecOk: true });
  });
  it("takes EDNS options that add up", () => {
    const cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    assert.equal(
      parsed(packet([1, 0, 0, 1], question, opt(4096, cookie))).edns?.payloadBytes,
      4096,
    );
  });
  it("tolerates bytes behind the message", () =>
    assert.equal(
      parsed(Buffer.concat([query({ name: "a" }), Buffer.from("tail")])).questions.length,
      1,
    ));
  it("takes a query without a question", () =>
    assert.deepEqual(parsed(packet([0, 0, 0, 0])).questions, []));
  it("does not look into other operations", () => {
    const update = query({ name: "a", flags: 5 << 11 }).subarray(0, 14);
    assert.equal(parseClientMessage(update).kind, "other-opcode");
  });
  it("knows a response", () =>
    assert.equal(parseClientMessage(query({ name: "a", flags: 0x8180 })).kind, "response"));
  for (const length of [0, 1])
    it(`has nothing to answer to ${length} bytes`, () =>
      assert.equal(parseClientMessage(Buffer.alloc(length)).kind, "unreadable"));

  const malformed: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ["two bytes", Buffer.of(0xab, 0xcd)],
    ["a header that is cut off", query({ name: "a" }).subarray(0, 11)],
    ["a question that is missing", packet([1, 0, 0, 0])],
    ["a question that is cut off", query({ name: "a.example" }).subarray(0, -1)],
    ["a second question that is missing", packet([2, 0, 0, 0], question)],
    ["a label that is cut off", packet([1, 0, 0, 0], Buffer.from([9, 97, 0]))],
    [
      "a label of 64 bytes",
      packet([1, 0, 0, 0], Buffer.from([64, ...Buffer.alloc(64, 97), 0, 0, 1, 0, 1])),
    ],
    ["a label of a reserved kind", packet([1, 0, 0, 0], Buffer.from([0x80, 97, 0, 0, 1, 0, 1]))],
    [
      "a name of 256 bytes",
      packet(
        [1, 0, 0, 0],
        wireName(`${`${"a".repeat(63)}.`.repeat(3)}${"a".repeat(62)}`),
        Buffer.of(0, 1, 0, 1),
      ),
    ],
    ["a pointer to itself", packet([1, 0, 0, 0], Buffer.from([0xc0, 12, 0, 1, 0, 1]))],
    ["a pointer into the header", packet([1, 0, 0, 0], Buffer.from([0xc0, 0, 0, 1, 0, 1]))],
    ["a pointer forward", packet([2, 0, 0, 0], question, Buffer.from([0xc0, 40, 0, 1, 0, 1]))],
    ["an additional record that is missing", packet([1, 0, 0, 1], question)],
    [
      "record data that is cut off",
      packet([1, 0, 0, 1], question, opt(512, [0, 1, 0, 0]).subarray(0, -1)),
    ],
    ["options that do not add up", packet([1, 0, 0, 1], question, opt(512, [0, 1, 0, 9, 1]))],
    ["two OPT records", packet([1, 0, 0, 2], question, opt(), opt())],
    ["an OPT record among the answers", packet([1, 1, 0, 0], question, opt())],
    ["an OPT record of a name", packet([1, 0, 0, 1], question, Buffer.from([1, 97]), opt())],
  ];
  for (const [what, bytes] of malformed) {
    it(`refuses ${what}`, () => {
      const message = parseClientMessage(bytes);
      assert.equal(message.kind, "malformed");
      assert.equal(
        "id" in message && message.id,
        what === "two bytes" ? 0xabcd : bytes.at(0)! * 256 + bytes.at(1)!,
      );
    });
  }
});

describe("names", () => {
  it("follow pointers backwards", () => {
    const bytes = Buffer.concat([
      Buffer.alloc(12),
      wireName("b.example"),
      Buffer.from([1, 97, 0xc0, 12]),
    ]);
    assert.deepEqual(decodeName(bytes, 23), { name: ["a", "b", "example"], end: 27 });
  });
  it("print unusual bytes escaped", () =>
    assert.equal(
      nameText(["a.b", "c\\d", "\u0000", "\u00e9", "x"]),
      "a\\.b.c\\\\d.\\000.\\233.x.",
    ));
  it("fold ASCII only", () => assert.deepEqual(foldLabels(["AbC", "\u00c0"]), ["abc", "\\192"]));
  it("are addresses of the Internet class or nothing of ours", () => {
    assert.equal(addressFamilyOf({ name: [], type: 1, class: 1 }), 4);
    assert.equal(addressFamilyOf({ name: [], type: 28, class: 1 }), 6);
    assert.equal(addressFamilyOf({ name: [], type: 28, class: 3 }), undefined);
    assert.equal(addressFamilyOf({ name: [], type: 255, class: 1 }), undefined);
  });
  it("of types are few", () => {
    assert.equal(recordTypeName(65), "HTTPS");
    assert.equal(recordTypeName(65280), "unknown");
    assert.equal(recordTypeName(undefined), "unknown");
  });
});

const many = (count: number) =>
  Array.from({ length: count }, (_, index) => ipOf(`10.0.${index >> 8}.${index & 255}`));

function answer(
  packetBytes: Uint8Array,
  records: AnswerRecords | undefined,
  protocol: "udp" | "tcp" = "udp",
) {
  const request = parsed(packetBytes);
  const limit = maxResponseBytes(request, protocol);
  const response = answerResponse(request, records, limit);
  assert.ok(response.length <= limit, `${response.length} > ${limit}`);
  return { response, ...decode(response) };
}

describe("answerResponse", () => {
  const name = ["Www", "Example", "com"];
  const ask = query({ name: "Www.Example.com", id: 99 });

  it("is authoritative, offers recursion, keeps id, case and RD, and lives 30 seconds", () => {
    const { response, ...got } = answer(ask, {
      cname: undefined,
      owner: name,
      addresses: [ipOf("192.0.2.7")],
    });
    assert.equal(got.id, 99);
    assert.equal(got.flags, 0x8580);
    assert.equal(got.question, "Www.Example.com. 1");
    assert.deepEqual(got.answers, ["Www.Example.com. A 192.0.2.7"]);
    assert.deepEqual(got.ttls, [30]);
    // The owner is a pointer to the question.
    assert.equal(response.length, ask.length + 16);
  });
  it("does not desire recursion for a client that does not", () =>
    assert.equal(answer(query({ name: "a", flags: 0 }), undefined).flags, 0x8480));
  it("answers IPv6", () =>
    assert.deepEqual(
      answer(ask, { cname: undefined, owner: name, addresses: [ipOf("2001:db8::1")] }).answers,
      ["Www.Example.com. AAAA 2001:db8::1"],
    ));
  it("is empty but whole for a name without addresses", () => {
    const got = answer(ask, undefined);
    assert.deepEqual([got.rcode, got.aa, got.tc, got.counts], [0, true, false, [1, 0, 0, 0]]);
  });
  it("aliases a search domain, and compresses what it can", () => {
    const full = "web.ns1.svc.cluster.local.ns1.svc.cluster.local";
    const owner = ["web", "ns1", "svc", "cluster", "local"];
    const request = query({ name: full });
    const { response, answers } = answer(request, { cname: owner, owner, addresses: many(2) });
    assert.deepEqual(answers, [
      `${full}. CNAME web.ns1.svc.cluster.local.`,
      "web.ns1.svc.cluster.local. A 10.0.0.0",
      "web.ns1.svc.cluster.local. A 10.0.0.1",
    ]);
    // Alias: owner pointer, 10 fixed, "web" and a pointer to the question's tail. Addresses: a pointer each.
    assert.equal(response.length, request.length + (2 + 10 + 4 + 2) + 2 * 16);
  });
  it("cuts 74 addresses down to whole records in 512 bytes and says so", () => {
    const got = answer(ask, { cname: undefined, owner: name, addresses: many(74) });
    assert.equal(got.tc, true);
    assert.equal(got.answers.length, Math.floor((512 - ask.length) / 16));
  });
  it("gives 74 addresses whole to a client that takes them", () => {
    const edns = { payload: 4096, flags: 0x8000 };
    const got = answer(query({ name: "Www.Example.com", edns }), {
      cname: undefined,
      owner: name,
      addresses: many(74),
    });
    assert.equal(got.tc, false);
    assert.equal(got.answers.length, 74);
    assert.deepEqual(got.opt, { payload: 4096, flags: 0x8000, extendedRcode: 0 });
  });
  it("leaves room for EDNS when it truncates", () => {
    const got = answer(query({ name: "Www.Example.com", edns: { payload: 700 } }), {
      cname: undefined,
      owner: name,
      addresses: many(74),
    });
    assert.equal(got.tc, true);
    assert.equal(got.opt?.payload, 700);
  });
  it("takes 512 for a smaller payload size", () => {
    const got = answer(query({ name: "Www.Example.com", edns: { payload: 16 } }), {
      cname: undefined,
      owner: name,
      addresses: many(74),
    });
    assert.equal(got.opt?.payload, 512);
    assert.ok(got.answers.length > 20);
  });
  it("gives everything over TCP, and never more than TCP takes", () => {
    const records = (count: number) => ({ cname: undefined, owner: name, addresses: many(count) });
    assert.equal(answer(ask, records(74), "tcp").answers.length, 74);
    assert.equal(answer(ask, records(5000), "tcp").tc, true);
  });
  it("truncates to nothing where not even the alias fits", () => {
    const long = `${`${"x".repeat(60)}.`.repeat(3)}aaaa.bbbb`;
    const owner = long.split(".").slice(0, 4);
    const request = parsed(query({ name: long }));
    const got = decode(answerResponse(request, { cname: owner, owner, addresses: many(1) }, 260));
    assert.deepEqual([got.tc, got.answers], [true, []]);
  });
});

describe("errorResponse", () => {
  it("answers what could not be read with a bare header", () => {
    const got = decode(errorResponse({ id: 5, flags: 0x2900 }, 1));
    assert.deepEqual([got.id, got.flags, got.counts], [5, 0xa981, [0, 0, 0, 0]]);
  });
  it("repeats the question and EDNS where there are some", () => {
    const request = parsed(query({ name: "Abc.example", edns: { payload: 1232 } }));
    const got = decode(errorResponse(request, 2, request));
    assert.deepEqual([got.rcode, got.question, got.opt?.payload], [2, "Abc.example. 1", 1232]);
  });
  it("spreads a large code over header and EDNS", () => {
    const request = parsed(query({ name: "a", edns: { payload: 1232, version: 1 } }));
    const got = decode(errorResponse(request, 16, request));
    assert.deepEqual([got.rcode, got.opt?.extendedRcode], [0, 1]);
  });
});
