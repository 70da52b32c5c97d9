/** Real threads of the program, from its source. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { threadStarter } from "../../../../src/cli/thread-starter.ts";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { Metrics } from "../../../../src/shared/telemetry/metrics.ts";
import { createRuntimeMetrics } from "../../../../src/ztunnel/telemetry/runtime-metrics.ts";
import { Crew } from "../../../../src/ztunnel/threads/crew.ts";
import { makeWorkload } from "../../../support/mesh-builders.ts";
import { threadConfig } from "./pair.ts";

const info = { name: "web", namespace: "shop", serviceAccount: "web" };

/** Ends with the test, also where that fails. */
function crewOf(t: TestContext, threads: number, written: string[] = []): Crew {
  const crew = new Crew(
    {
      config: threadConfig(),
      clock: systemClock,
      startThread: threadStarter(new URL("../../../../src/cli/entry.ts", import.meta.url)),
      filter: new LogFilter("info"),
      writeLog: (text) => written.push(text),
      services: {
        certificate: () => Promise.reject(new Error("none")),
        demand: () => Promise.resolve(),
      },
    },
    threads,
  );
  t.after(() => crew.close());
  return crew;
}

function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

test("threads start, open and close a pod, and end; no descriptor is left", async (t) => {
  const before = openFiles();
  const crew = crewOf(t, 2);
  await crew.up();
  crew.apply({ addresses: [{ kind: "workload", workload: makeWorkload("web") }] });
  crew.settle();
  const running = openFiles();
  const pod = crew.newPod(info, undefined);
  await pod.start();
  assert.ok(openFiles() >= running + 6, "three listeners on each of two threads");
  pod.stop();
  assert.deepEqual([...(await crew.connections())], []);
  await crew.close();
  // Each thread's handle on the node's own namespace stays: threads end only when the process does.
  assert.ok(openFiles() <= before + 2, `${before} at first, ${openFiles()} at the end`);
});

test("each thread tells of its own work", async (t) => {
  const crew = crewOf(t, 1);
  await crew.up();
  const registry = new Metrics();
  createRuntimeMetrics(registry, { openConnections: 0, takenConnections: 0 }, 2);
  await crew.collectMetrics(registry);
  const text = await registry.render();
  for (const name of ["tokio_worker_total_busy_duration_seconds", "tokio_worker_park_count"]) {
    const value = new RegExp(`^${name}_total\\{worker="1"\\} (.+)$`, "m").exec(text)?.[1];
    assert.ok(Number(value) > 0, `${name} is ${value}`);
  }
});

test("a thread that fails takes the process with it, and its last line is written", async (t) => {
  const written: string[] = [];
  const crew = crewOf(t, 1, written);
  await crew.up();
  crew.apply({ addresses: [{ kind: "workload" }] } as never);
  await assert.rejects(crew.lost, { message: "data-path thread 1 ended: exit code 1" });
  assert.match(written.join(""), /data-path thread cannot go on/);
});
