import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import type { PodNetwork } from "../../../../src/shared/os/network.ts";
import { hostNetwork } from "../../../../src/shared/os/pod-network.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { loadConfig } from "../../../../src/ztunnel/config.ts";
import { prepareDataPath } from "../../../../src/ztunnel/rehearsal/prepare.ts";
import { rehearse } from "../../../../src/ztunnel/rehearsal/rehearse.ts";

const sources = { readFile: () => undefined, fileExists: () => false, cpus: 2 };
// Marking sockets needs rights that a test has not.
const env = {
  PROXY_MODE: "dedicated",
  PROXY_WORKLOAD_INFO: "a/b/c",
  ISTIO_META_DNS_CAPTURE: "false",
};
const config = loadConfig({ ...sources, env });
const deps = { config, clock: systemClock, random: Math.random };
const host = hostNetwork(systemClock);

const descriptors = (): number => readdirSync("/proc/self/fd").length;

test("a rehearsal carries connections of every kind and leaves nothing behind", async () => {
  // The thread's own epoll instance stays.
  await rehearse({ ...deps, network: host, budgetMs: 50 });
  await systemClock.sleep(100);
  const before = { descriptors: descriptors(), slabs: slabsInUse() };
  const done = await rehearse({ ...deps, network: host, budgetMs: 20_000 });
  assert.ok(done.connections > 110, `${done.connections} connections`);
  assert.ok(done.exchanges > 2_000, `${done.exchanges} exchanges`);
  const deadlineMs = systemClock.monotonicMs() + 5_000;
  const left = (): boolean => descriptors() > before.descriptors || slabsInUse() > before.slabs;
  while (left() && systemClock.monotonicMs() < deadlineMs) await systemClock.sleep(10);
  assert.equal(descriptors(), before.descriptors);
  assert.equal(slabsInUse(), before.slabs);
});

test("it stops asking when its time is over", async () => {
  const startedMs = systemClock.monotonicMs();
  const done = await rehearse({ ...deps, network: host, budgetMs: 1 });
  assert.ok(done.exchanges < 200, `${done.exchanges} exchanges`);
  assert.ok(systemClock.monotonicMs() - startedMs < 5_000);
});

test("it gives up when nothing moves, and the start goes on", async () => {
  const lines: string[] = [];
  const logger = createLogger(
    {
      clock: systemClock,
      filter: new LogFilter("debug"),
      format: "plain",
      write: (line) => lines.push(line),
    },
    "app",
  );
  // Nobody ever answers.
  const dead: PodNetwork = { ...host, connectTcp: () => new Promise<never>(() => undefined) };
  const hanging = rehearse({ ...deps, network: dead, budgetMs: 500 });
  await assert.rejects(hanging, /nothing moves/);
  const refused: PodNetwork = {
    ...host,
    connectTcp: () => Promise.reject(new MeshError("connect-failed", "no loopback")),
  };
  await assert.rejects(rehearse({ ...deps, network: refused, budgetMs: 500 }), /no loopback/);
  await prepareDataPath({ ...deps, config: { ...config, rehearsalMs: 0 } }, logger);
  assert.deepEqual(lines, []);
});
