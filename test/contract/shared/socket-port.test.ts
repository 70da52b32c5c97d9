/** Ends of flows that are sockets, where Node itself needs care. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Port } from "../../../src/shared/hbone/flow/port.ts";
import { portOf } from "../../../src/shared/hbone/flow.ts";
import { socketPair } from "../../support/hbone.ts";

const nowhere: Port = {
  givenBytes: 0,
  roomBytes: 0,
  unsentBytes: 0,
  attach: () => undefined,
  take: () => true,
  takeUntouched: () => true,
  takeLast: () => true,
  finish: () => undefined,
  resume: () => undefined,
  settle: () => undefined,
  abort: () => undefined,
};

const descriptors = (): number => readdirSync("/proc/self/fd").length;

test("a break right after the end of our direction closes the descriptor", async () => {
  const before = descriptors();
  for (let at = 0; at < 20; at++) {
    const { near, far } = await socketPair();
    far.on("error", () => undefined);
    const closed = once(near, "close");
    const port = portOf(near);
    port.attach(nowhere, { portClosed: () => undefined });
    port.takeUntouched(Buffer.from("all"), 0, 3);
    port.finish();
    port.abort();
    await closed;
    far.destroy();
  }
  await sleep(50);
  assert.ok(descriptors() - before < 10, `${descriptors() - before} descriptors are left`);
});
