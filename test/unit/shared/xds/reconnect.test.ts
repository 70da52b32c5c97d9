import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { planReconnect, type StreamEnd } from "../../../../src/shared/xds/reconnect.ts";

describe("after a stream that had brought something", () => {
  const status = (code: number, details = ""): StreamEnd => ({ kind: "status", code, details });
  const rows: readonly [string, StreamEnd, waitMs: number, nextMs: number, reason: string][] = [
    ["not opened", { kind: "not-opened", error: "x" }, 80, 80, "ConnectionError"],
    ["Unknown", status(2), 10, 10, "Reconnect"],
    ["Cancelled", status(1), 10, 10, "Reconnect"],
    ["DeadlineExceeded", status(4), 10, 10, "Reconnect"],
    ["Unavailable, closing", status(14, "transport is closing"), 10, 10, "Reconnect"],
    ["Unavailable, GOAWAY", status(14, "x received prior goaway: y"), 10, 10, "Reconnect"],
    ["Unavailable otherwise", status(14, "no luck"), 80, 80, "Error"],
    ["Internal", status(13), 80, 80, "Error"],
    ["PermissionDenied", status(7), 80, 80, "Error"],
    ["own failure", { kind: "failed", error: "x" }, 0, 10, "Error"],
    ["clean end", { kind: "complete" }, 0, 10, "Complete"],
  ];
  for (const [name, end, waitMs, nextBackoffMs, reason] of rows)
    test(name, () =>
      assert.deepEqual(planReconnect(end, 40, true), { waitMs, nextBackoffMs, reason }),
    );
});

test("the wait doubles from 20 ms to 15 s", () => {
  const waits: number[] = [];
  let backoffMs = 10;
  for (let i = 0; i < 14; i++) {
    const plan = planReconnect({ kind: "not-opened", error: "" }, backoffMs, false);
    waits.push(plan.waitMs);
    backoffMs = plan.nextBackoffMs;
  }
  assert.deepEqual(waits.slice(0, 4), [20, 40, 80, 160]);
  assert.deepEqual(waits.slice(-3), [15_000, 15_000, 15_000]);
});

test("a server that ends every stream before its first response is not called in a loop", () => {
  const plan = planReconnect({ kind: "complete" }, 40, false);
  assert.deepEqual(plan, { waitMs: 80, nextBackoffMs: 80, reason: "Complete" });
});
