import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HpackDecoder } from "../../../../src/shared/hbone/hpack/decoder.ts";
import { HpackEncoder } from "../../../../src/shared/hbone/hpack/encoder.ts";
import { codeLengths } from "../../../../src/shared/hbone/hpack/huffman.ts";
import { DynamicTable, staticTable } from "../../../../src/shared/hbone/hpack/tables.ts";
import type { HeaderField } from "../../../../src/shared/hbone/tunnel.ts";

const octets = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ""), "hex");

function decode(decoder: HpackDecoder, hex: string): readonly HeaderField[] {
  const block = octets(hex);
  return decoder.decode(block, 0, block.length).fields;
}

const first: HeaderField[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const second: HeaderField[] = [...first, ["cache-control", "no-cache"]];
const third: HeaderField[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];
const date1 = "Mon, 21 Oct 2013 20:13:21 GMT";
const date2 = "Mon, 21 Oct 2013 20:13:22 GMT";
const response = (status: string, date: string, more: HeaderField[] = []): HeaderField[] => [
  [":status", status],
  ["cache-control", "private"],
  ["date", date],
  ["location", "https://www.example.com"],
  ...more,
];
const cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const gzip: HeaderField[] = [
  ["content-encoding", "gzip"],
  ["set-cookie", cookie],
];
/** Decoded fields sorted into the order of the block of RFC 7541 C.5.3, where date precedes location. */
const thirdResponse = response("200", date2, gzip);

describe("RFC 7541 appendix C", () => {
  test("C.2 single representations", () => {
    const cases: readonly (readonly [string, HeaderField])[] = [
      [
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        ["custom-key", "custom-header"],
      ],
      ["040c 2f73 616d 706c 652f 7061 7468", [":path", "/sample/path"]],
      ["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password", "secret"]],
      ["82", [":method", "GET"]],
    ];
    for (const [hex, field] of cases)
      assert.deepEqual(decode(new HpackDecoder(4096), hex), [field]);
  });

  test("C.3 requests without Huffman", () => {
    const decoder = new HpackDecoder(4096);
    assert.deepEqual(decode(decoder, "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"), first);
    assert.deepEqual(decode(decoder, "8286 84be 5808 6e6f 2d63 6163 6865"), second);
    assert.deepEqual(
      decode(decoder, "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"),
      third,
    );
  });

  test("C.4 requests with Huffman", () => {
    const decoder = new HpackDecoder(4096);
    assert.deepEqual(decode(decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"), first);
    assert.deepEqual(decode(decoder, "8286 84be 5886 a8eb 1064 9cbf"), second);
    assert.deepEqual(
      decode(decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"),
      third,
    );
  });

  test("C.5 and C.6 responses with eviction from a table of 256 octets", () => {
    const plain = [
      "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "4803 3330 37c1 c0bf",
      "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    const huffman = [
      "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      "4883 640e ffc1 c0bf",
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for (const blocks of [plain, huffman]) {
      const decoder = new HpackDecoder(4096, 256);
      assert.deepEqual(decode(decoder, blocks[0] ?? ""), response("302", date1));
      assert.deepEqual(decode(decoder, blocks[1] ?? ""), response("307", date1));
      assert.deepEqual(decode(decoder, blocks[2] ?? ""), thirdResponse);
    }
  });
});

describe("the decoder refuses", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["index 0", "80"],
    ["an entry beyond both tables", "be"],
    ["a name beyond both tables", "7e0161"],
    ["an integer that never ends", "ffffffffffffffffffff"],
    ["an integer cut off", "ff"],
    ["text cut off", "400a6375"],
    ["a table update after a field", "8220"],
    ["a table update above what we announced", "3fe21f"],
    ["Huffman padding of zeros", "0081 00 01 61"],
    ["Huffman padding of a whole octet", "0082 1fff 01 61"],
    ["the symbol EOS", "0084 ffff fffc 01 61"],
  ];
  for (const [name, hex] of cases) {
    test(name, () => {
      assert.throws(() => decode(new HpackDecoder(4096), hex), { code: 9 });
    });
  }
});

test("a list above the limit is counted, not kept, and the table stays in step", () => {
  const decoder = new HpackDecoder(200);
  const value = "v".repeat(100);
  const text = Buffer.from(value).toString("hex");
  // Inserts one entry of 133 octets, then names it a hundred times.
  const bomb = octets(`40 01 61 64 ${text} ${"be".repeat(100)}`);
  const { fields, tooLarge } = decoder.decode(bomb, 0, bomb.length);
  assert.equal(tooLarge, true);
  assert.deepEqual(fields, [["a", value]]);
  assert.deepEqual(decode(decoder, "be"), [["a", value]]);
});

test("a table update to 0 empties the table", () => {
  const decoder = new HpackDecoder(4096);
  decode(decoder, "4001610162");
  assert.deepEqual(decode(decoder, "be"), [["a", "b"]]);
  assert.throws(() => decode(decoder, "20be"), { code: 9 });
});

test("the Huffman code is complete: its lengths leave no gap", () => {
  const sum = codeLengths.reduce((total, length) => total + 2 ** -length, 0);
  assert.equal(codeLengths.length, 257);
  assert.equal(sum, 1);
});

test("the dynamic table evicts the oldest and drops what is too large", () => {
  const table = new DynamicTable(100);
  table.add(["a", "1"]);
  table.add(["b", "2"]);
  assert.equal(table.sizeBytes, 68);
  table.add(["c", "3"]);
  assert.equal(table.length, 2);
  assert.deepEqual(table.at(0), ["c", "3"]);
  assert.deepEqual(table.at(1), ["b", "2"]);
  assert.equal(table.at(2), undefined);
  table.add(["x", "y".repeat(100)]);
  assert.equal(table.length, 0);
  assert.equal(table.insertions, 3);
});

test("the static table is the RFC's", () => {
  assert.equal(staticTable.length, 61);
  assert.deepEqual(staticTable[0], [":authority", ""]);
  assert.deepEqual(staticTable[15], ["accept-encoding", "gzip, deflate"]);
  assert.deepEqual(staticTable[60], ["www-authenticate", ""]);
});

describe("the encoder", () => {
  const request: HeaderField[] = [
    [":method", "CONNECT"],
    [":authority", "10.1.2.3:8080"],
    ["baggage", "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop"],
    ["forwarded", 'for="10.1.1.1:40000"'],
  ];

  test("names what repeats, never indexes what does not", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(65_536);
    const sizes: number[] = [];
    for (let round = 0; round < 200; round++) {
      const fields: HeaderField[] = [...request, ["traceparent", `00-${round}-01`]];
      const block = encoder.encode(fields);
      sizes.push(block.length);
      assert.deepEqual(decoder.decode(block, 0, block.length).fields, fields);
    }
    assert.ok((sizes[199] ?? 0) < (sizes[0] ?? 0) / 2, `${sizes[0]} then ${sizes[199]} octets`);
  });

  test("follows the peer's table size, down to 0 and up again", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(65_536);
    for (const size of [4096, 0, 64, 100_000, 0, 4096]) {
      encoder.setPeerTableSize(size);
      for (let round = 0; round < 3; round++) {
        const block = encoder.encode(request);
        assert.deepEqual(decoder.decode(block, 0, block.length).fields, request);
      }
    }
    encoder.setPeerTableSize(0);
    encoder.setPeerTableSize(4096);
    const block = encoder.encode([[":method", "GET"]]);
    // Both the smallest and the last size are announced (section 4.2).
    assert.equal(block.toString("hex"), "203fe11f82");
  });
});
