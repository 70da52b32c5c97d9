import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type IpAddress, ipFromBytes } from "../../../../src/shared/net/ip.ts";
import { answerResponse, errorResponse } from "../../../../src/ztunnel/dns/answer.ts";
import { FrameReader, frame } from "../../../../src/ztunnel/dns/framing.ts";
import { answers } from "../../../../src/ztunnel/dns/match.ts";
import { parseClientMessage } from "../../../../src/ztunnel/dns/message.ts";
import { decodeName, foldLabels, NameWriter, nameText } from "../../../../src/ztunnel/dns/name.ts";
import { decode, query } from "../../../unit/ztunnel/dns/fixture.ts";

const label = fc
  .uint8Array({ minLength: 1, maxLength: 63 })
  .map((bytes) => String.fromCharCode(...bytes));
/** Any name that the wire can carry. */
const name = fc
  .array(label, { maxLength: 12 })
  .filter((labels) => labels.reduce((sum, part) => sum + 1 + part.length, 1) <= 255);
const hostLabel = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
const hostname = fc.array(hostLabel, { minLength: 1, maxLength: 10 });
const ip = fc
  .oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  )
  .map((bytes) => ipFromBytes(bytes) as IpAddress);

describe("names", () => {
  it("come back from the wire as they were written, compressed or not", () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 6 }), fc.nat(20), (names, padding) => {
        const target = Buffer.alloc(4096);
        const writer = new NameWriter(target);
        let at = 12 + padding;
        const starts: number[] = [];
        for (const one of names) {
          starts.push(at);
          const size = writer.sizeOf(one);
          const end = writer.write(one, at);
          assert.equal(end - at, size);
          at = end;
        }
        const bytes = target.subarray(0, at);
        for (const [index, one] of names.entries()) {
          const decoded = decodeName(bytes, starts[index] ?? 0);
          assert.deepEqual(decoded?.name, one);
          assert.equal(decoded?.end, starts[index + 1] ?? at);
        }
      }),
    );
  });

  it("print in plain characters, and differently when they differ", () => {
    fc.assert(
      fc.property(name, name, (one, two) => {
        assert.match(nameText(one), /^[!-~]+$/);
        const same = JSON.stringify(one) === JSON.stringify(two);
        assert.equal(nameText(one) === nameText(two), same);
      }),
    );
  });

  it("fold to the same thing in any case", () => {
    fc.assert(
      fc.property(hostname, (one) => {
        const upper = one.map((part) => part.toUpperCase());
        assert.deepEqual(foldLabels(upper), foldLabels(one));
      }),
    );
  });
});

describe("answers", () => {
  it("decode to what was put in, or say that they are cut", () => {
    fc.assert(
      fc.property(
        hostname,
        fc.option(fc.nat(9), { nil: undefined }),
        fc.array(ip, { maxLength: 120 }),
        fc.integer({ min: 512, max: 4096 }),
        fc.boolean(),
        (labels, kept, addresses, limit, edns) => {
          const cname =
            kept === undefined ? undefined : labels.slice(0, Math.min(kept, labels.length - 1));
          const asked = query({
            name: labels.join("."),
            ...(edns ? { edns: { payload: limit } } : {}),
          });
          const message = parseClientMessage(asked);
          assert.equal(message.kind, "query");
          if (message.kind !== "query") return;
          const owner = cname ?? labels;
          const bytes = answerResponse(message, { cname, owner, addresses }, limit);
          assert.ok(bytes.length <= limit);
          const got = decode(bytes);
          const text = (one: readonly string[]): string =>
            one.length === 0 ? "." : `${one.join(".")}.`;
          const wanted = [
            ...(cname === undefined ? [] : [`${text(labels)} CNAME ${text(cname)}`]),
            ...addresses.map(
              (address) => `${text(owner)} ${address.includes(":") ? "AAAA" : "A"} ${address}`,
            ),
          ];
          assert.equal(got.tc, got.answers.length < wanted.length);
          assert.deepEqual(got.answers, wanted.slice(0, got.answers.length));
          assert.equal(got.opt !== undefined, edns);
        },
      ),
    );
  });
});

describe("garbage", () => {
  /** Random bytes, and real queries with random damage: the second kind gets deeper. */
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 600 }),
    fc
      .tuple(hostname, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }), fc.nat(90))
      .map(([labels, damage, length]) => {
        const bytes = query({ name: labels.join("."), edns: { payload: 1232 } });
        for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
        return bytes.subarray(0, length);
      }),
  );

  it("never throws, and what is answered carries its id", () => {
    fc.assert(
      fc.property(garbage, (bytes) => {
        const message = parseClientMessage(bytes);
        if (message.kind === "unreadable") {
          assert.ok(bytes.length < 2);
          return;
        }
        assert.equal(message.id, Buffer.from(bytes).readUInt16BE(0));
        const response =
          message.kind === "query"
            ? answerResponse(message, undefined, 512)
            : errorResponse(message, 1);
        assert.equal(Buffer.from(response).readUInt16BE(0), message.id);
      }),
      { numRuns: 2000 },
    );
  });

  it("never passes for an answer unless it is one", () => {
    fc.assert(
      fc.property(hostname, garbage, fc.nat(0xffff), (labels, bytes, id) => {
        const asked = query({ name: labels.join(".") });
        const verdict = answers({ id, query: asked }, bytes);
        if (verdict) assert.equal(Buffer.from(bytes).readUInt16BE(0), id);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("TCP framing", () => {
  it("yields the same messages however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 1200 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 40 }),
        (messages, cuts) => {
          const stream = Buffer.concat(messages.map((message) => frame(message)));
          const reader = new FrameReader();
          const got: Uint8Array[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const size = cuts[turn % cuts.length] ?? 1;
            got.push(...reader.push(stream.subarray(at, at + size)));
            at += size;
          }
          assert.deepEqual(
            got,
            messages.map((message) => Uint8Array.from(message)),
          );
          assert.equal(reader.midMessage, false);
        },
      ),
    );
  });

  it("works byte by byte", () => {
    const messages = [Uint8Array.of(1, 2, 3), new Uint8Array(0), new Uint8Array(3000).fill(7)];
    const reader = new FrameReader();
    const stream = Buffer.concat(messages.map((message) => frame(message)));
    const got = [...stream].flatMap((byte) => reader.push(Uint8Array.of(byte)));
    assert.deepEqual(got, messages);
  });
});
