import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import {
  createLineRelay,
  linesTaken,
  newLinesInFlight,
} from "../../../../src/ztunnel/threads/log-relay.ts";
import { FakeClock } from "../../../support/clock.ts";

test("the lines of a moment go as one message, in their order and whole", async () => {
  const clock = new FakeClock();
  const posted: string[] = [];
  const inFlight = newLinesInFlight();
  const relay = createLineRelay((text) => posted.push(text), inFlight, clock);
  relay.write("one\n");
  relay.write("two\n");
  assert.deepEqual(posted, []);
  await clock.advance(10);
  relay.write("three\n");
  relay.flush();
  relay.flush();
  assert.deepEqual(posted, ["one\ntwo\n", "three\n"]);
  const counted = new Int32Array(inFlight);
  assert.equal(counted[0], "one\ntwo\nthree\n".length);
  for (const text of posted) linesTaken(inFlight, text);
  assert.equal(counted[0], 0);
});

test("a thread that logs faster than its lines are taken waits, and loses none", async () => {
  const inFlight = newLinesInFlight();
  const path = new URL("../../../../src/ztunnel/threads/log-relay.ts", import.meta.url);
  const clock = new URL("../../../../src/shared/base/clock.ts", import.meta.url);
  const script = `
    import { parentPort, workerData } from "node:worker_threads";
    const { createLineRelay } = await import(${JSON.stringify(path.href)});
    const { systemClock } = await import(${JSON.stringify(clock.href)});
    const relay = createLineRelay((text) => parentPort.postMessage(text), workerData, systemClock);
    const line = "x".repeat(1023) + "\\n";
    for (let i = 0; i < 12 * 1024; i++) relay.write(line);
    relay.flush();`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), {
    workerData: inFlight,
  });
  const counted = new Int32Array(inFlight);
  let highest = 0;
  let bytes = 0;
  worker.on("message", (text: string) => {
    highest = Math.max(highest, counted[0] ?? 0);
    bytes += text.length;
    linesTaken(inFlight, text);
  });
  await new Promise((resolve) => worker.once("exit", resolve));
  assert.equal(bytes, 12 * 1024 * 1024);
  // What is written at once may exceed the bound by itself, but by no more.
  assert.ok(highest <= 8.1 * 1024 * 1024, `${highest} octets were on their way`);
});
