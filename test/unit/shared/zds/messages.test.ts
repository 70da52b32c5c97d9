import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  encodeAnswer,
  encodeHello,
  encodeRequest,
  readAnswer,
  readHello,
  readRequest,
  ZDS_MESSAGE_MAX_BYTES,
  type ZdsRequest,
} from "../../../../src/shared/zds/messages.ts";

const info = { name: "web-1", namespace: "shop", serviceAccount: "web" };
const packet = (bytes: Uint8Array, fdCount = 0, truncated = false) => ({
  bytes,
  fdCount,
  truncated,
});
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("bytes on the wire", () => {
  // Field numbers of wire/ztunnel.md section 3.2, written out by hand.
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ["hello", encodeHello(), "0801"],
    [
      "add",
      encodeRequest({ kind: "add", uid: "u", info }),
      "0a170a01751212" + "0a057765622d31" + "120473686f70" + "1a03776562",
    ],
    ["delete, whose uid is field 2", encodeRequest({ kind: "delete", uid: "u" }), "1203120175"],
    ["snapshot sent", encodeRequest({ kind: "snapshot-sent" }), "1a00"],
    ["keep, which is field 5", encodeRequest({ kind: "keep", uid: "u" }), "2a030a0175"],
    ["success", encodeAnswer({ error: undefined }), "0a00"],
    ["failure", encodeAnswer({ error: "no" }), "0a040a026e6f"],
  ];
  for (const [name, bytes, expected] of cases)
    it(name, () => {
      assert.equal(hex(bytes), expected);
    });
});

describe("requests", () => {
  const add = encodeRequest({ kind: "add", uid: "u", info });
  const remove = encodeRequest({ kind: "delete", uid: "u" });

  it("are read back", () => {
    const requests: readonly (readonly [ZdsRequest, number])[] = [
      [{ kind: "add", uid: "u", info }, 1],
      [{ kind: "add", uid: "u", info: undefined }, 1],
      [{ kind: "keep", uid: "u" }, 0],
      [{ kind: "delete", uid: "u" }, 0],
      [{ kind: "snapshot-sent" }, 0],
    ];
    for (const [request, fds] of requests)
      assert.deepEqual(readRequest(packet(encodeRequest(request), fds)), {
        kind: "message",
        message: request,
      });
  });

  const refusals: readonly (readonly [string, ReturnType<typeof packet>, RegExp])[] = [
    ["an add without a descriptor", packet(add, 0), /^No control message$/],
    ["anything else with one", packet(remove, 1), /^Unexpected control message$/],
    ["more than one descriptor", packet(add, 2), /^Too many control messages$/],
    ["a truncated message", packet(add, 1, true), /larger than 1024 bytes/],
    ["no payload", packet(new Uint8Array(), 0), /without a payload/],
    ["bytes that are no message", packet(Uint8Array.of(0x0a, 0xff), 1), /./],
    [
      "field 4, which was never assigned",
      packet(Uint8Array.of(0x22, 0x00), 0),
      /without a payload/,
    ],
  ];
  for (const [name, received, reason] of refusals)
    it(`refuse ${name}`, () => {
      const reading = readRequest(received);
      assert.equal(reading.kind, "error");
      assert.match(reading.kind === "error" ? reading.reason : "", reason);
    });

  it("that nobody could read are not written", () => {
    const long = { ...info, name: "x".repeat(ZDS_MESSAGE_MAX_BYTES) };
    assert.throws(() => encodeRequest({ kind: "add", uid: "u", info: long }), RangeError);
  });
});

describe("answers", () => {
  it("carry an error text, shortened to what fits", () => {
    const answer = encodeAnswer({ error: "ü".repeat(1000) });
    assert.ok(answer.length <= ZDS_MESSAGE_MAX_BYTES);
    const reading = readAnswer(packet(answer));
    assert.equal(reading.kind, "message");
    const error = reading.kind === "message" ? (reading.message.error ?? "") : "";
    assert.match(error, /^ü{500,}$/);
  });

  it("without a payload, or with a descriptor, are refused", () => {
    assert.equal(readAnswer(packet(new Uint8Array())).kind, "error");
    assert.equal(readAnswer(packet(encodeAnswer({ error: undefined }), 1)).kind, "error");
  });
});

describe("the greeting", () => {
  it("names a version that we speak", () => {
    assert.deepEqual(readHello(packet(encodeHello())), { kind: "message", message: "v1" });
    for (const bytes of [new Uint8Array(), Uint8Array.of(0x08, 0x00), Uint8Array.of(0x08, 0x02)])
      assert.equal(readHello(packet(bytes)).kind, "error");
  });
});
