import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ipFromBytes, ipOf } from "../../../../src/shared/net/ip.ts";
import {
  decodeSocketAddress,
  encodeSocketAddress,
  encodeUnixAddress,
} from "../../../../src/shared/os/socket-address.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("socket addresses", () => {
  it("have the kernel's layout", () => {
    assert.equal(
      hex(encodeSocketAddress(ipOf("10.1.0.11"), 15001)),
      `02003a990a01000b${"00".repeat(8)}`,
    );
    assert.equal(
      hex(encodeSocketAddress(ipOf("fd00:1::11"), 15008)),
      `0a003aa0${"00000000"}fd000001000000000000000000000011${"00000000"}`,
    );
    assert.equal(hex(encodeUnixAddress("/x")), "01002f7800");
  });

  it("are read back, with v4-mapped addresses folded", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(bytes, fc.nat(65535), (raw, port) => {
        const ip = ipFromBytes(raw);
        assert.ok(ip !== undefined);
        assert.deepEqual(decodeSocketAddress(Buffer.from(encodeSocketAddress(ip, port))), {
          ip,
          port,
        });
      }),
    );
    const mapped = Buffer.alloc(28);
    mapped.set([0x0a, 0, 0x1f, 0x90]);
    mapped.set([0xff, 0xff, 10, 1, 0, 11], 18);
    assert.deepEqual(decodeSocketAddress(mapped), { ip: "10.1.0.11", port: 8080 });
  });

  it("of other families are none", () => {
    assert.equal(decodeSocketAddress(Buffer.alloc(28, 1)), undefined);
  });

  it("refuse paths that do not fit or would be cut", () => {
    for (const path of ["", `/${"x".repeat(107)}`, "/a\0b"])
      assert.throws(() => encodeUnixAddress(path), RangeError);
  });
});
