import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import {
  encodeAnswer,
  encodeRequest,
  readAnswer,
  readHello,
  readRequest,
  ZDS_MESSAGE_MAX_BYTES,
  type ZdsRequest,
} from "../../../src/shared/zds/messages.ts";

const name = fc.string({ unit: "grapheme", maxLength: 60 });
const plainObject = { noNullPrototype: true };
const info = fc.record({ name, namespace: name, serviceAccount: name }, plainObject);
const request: fc.Arbitrary<ZdsRequest> = fc.oneof(
  fc.record(
    { kind: fc.constant("add" as const), uid: name, info: fc.option(info, { nil: undefined }) },
    plainObject,
  ),
  fc.record({ kind: fc.constantFrom("keep" as const, "delete" as const), uid: name }, plainObject),
  fc.constant({ kind: "snapshot-sent" as const }),
);

it("every request that fits is read back as it was", () => {
  fc.assert(
    fc.property(request, (original) => {
      let bytes: Uint8Array;
      try {
        bytes = encodeRequest(original);
      } catch (thrown) {
        assert.ok(thrown instanceof RangeError);
        return;
      }
      assert.ok(bytes.length <= ZDS_MESSAGE_MAX_BYTES);
      const fdCount = original.kind === "add" ? 1 : 0;
      const reading = readRequest({ bytes, fdCount, truncated: false });
      assert.deepEqual(reading, { kind: "message", message: original });
    }),
  );
});

it("every error text makes an answer that can be read", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 3000 }), (error) => {
      const bytes = encodeAnswer({ error });
      assert.ok(bytes.length <= ZDS_MESSAGE_MAX_BYTES);
      const reading = readAnswer({ bytes, fdCount: 0, truncated: false });
      assert.equal(reading.kind, "message");
      if (reading.kind === "message") assert.ok(error.startsWith(reading.message.error ?? ""));
    }),
  );
});

it("no bytes whatever make a reader throw", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: ZDS_MESSAGE_MAX_BYTES }),
      fc.nat(3),
      fc.boolean(),
      (bytes, fdCount, truncated) => {
        for (const read of [readHello, readRequest, readAnswer])
          assert.ok(["message", "error"].includes(read({ bytes, fdCount, truncated }).kind));
      },
    ),
  );
});
