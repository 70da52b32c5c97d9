import assert from "node:assert/strict";
import { openSync } from "node:fs";
import { afterEach, test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import type { WorkloadCertificate } from "../../../../src/shared/identity/workload-certificate.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { NetworkNamespace } from "../../../../src/shared/os/network-namespace.ts";
import { LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { Metrics } from "../../../../src/shared/telemetry/metrics.ts";
import { createZtunnelMetrics } from "../../../../src/ztunnel/telemetry/metrics.ts";
import { createRuntimeMetrics } from "../../../../src/ztunnel/telemetry/runtime-metrics.ts";
import { Crew, type CrewServices } from "../../../../src/ztunnel/threads/crew.ts";
import { makeWorkload } from "../../../support/mesh-builders.ts";
import { newRoot, newWorkload, spiffe } from "../../shared/identity/pki.ts";
import { type Pairs, pairedThreads, threadConfig } from "./pair.ts";

const info = { name: "web", namespace: "shop", serviceAccount: "web" };
const nobody: CrewServices = {
  certificate: () => Promise.reject(new MeshError("identity-unavailable", "none here")),
  demand: () => Promise.resolve(),
};

interface Scene {
  readonly crew: Crew;
  readonly pairs: Pairs;
  readonly filter: LogFilter;
  readonly written: string[];
}

const open: Scene[] = [];
afterEach(async () => {
  for (const { crew, pairs } of open.splice(0)) {
    await crew.close();
    pairs.close();
  }
});

function crewOf(
  threads: number,
  options: { silent?: boolean; services?: CrewServices; env?: Record<string, string> } = {},
): Scene {
  const pairs = pairedThreads(options);
  const filter = new LogFilter("info");
  const written: string[] = [];
  const crew = new Crew(
    {
      config: threadConfig(options.env),
      clock: systemClock,
      startThread: pairs.startThread,
      filter,
      writeLog: (text) => written.push(text),
      services: options.services ?? nobody,
    },
    threads,
  );
  const scene = { crew, pairs, filter, written };
  open.push(scene);
  return scene;
}

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 2_000;
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, "it did not come to pass");
    await systemClock.sleep(5);
  }
}

function kinds({ pairs }: Scene, thread: number): unknown[] {
  return (pairs.threads[thread]?.received ?? []).map(
    (message) => (message as { kind: unknown }).kind,
  );
}

test("threads are numbered from 1, and get no way to the control plane", async () => {
  const { crew, pairs } = crewOf(2);
  await crew.up();
  assert.deepEqual(
    pairs.threads.map(({ start }) => start.thread),
    [1, 2],
  );
  for (const { start } of pairs.threads) {
    assert.equal(start.config.xds, undefined);
    assert.equal(start.config.ca, undefined);
    assert.ok(!JSON.stringify(start.config).includes("a literal token"));
  }
});

test("a pod's listeners open on all threads, and close on all of them", async () => {
  const scene = crewOf(2);
  const pod = scene.crew.newPod(info, undefined);
  await pod.start();
  assert.equal(pod.siblings?.count, 2);
  assert.equal(await pod.siblings?.serves({ ip: ipOf("10.0.0.1"), port: 1 }), false);
  const connections = await scene.crew.connections();
  assert.deepEqual([...connections], [[pod.pod, []]]);
  pod.stop();
  assert.deepEqual([...(await scene.crew.connections())], []);
});

test("draining waits for all threads", async () => {
  const scene = crewOf(2);
  const pod = scene.crew.newPod(info, undefined);
  await pod.start();
  await pod.drain(1_000);
  assert.deepEqual([...(await scene.crew.connections())], []);
});

test("where one thread cannot start a pod, none has it", async () => {
  const scene = crewOf(2);
  // The second one is given something that is no namespace.
  let handed = 0;
  const namespace = {
    label: "of pod shop/web",
    duplicate: () => ({
      fd: ++handed === 1 ? NetworkNamespace.own().duplicate().fd : openSync("/dev/null", "r"),
    }),
  } as unknown as NetworkNamespace;
  await assert.rejects(scene.crew.newPod(info, namespace).start(), {
    code: "system-failed",
    message: /Cannot use network namespace of pod shop\/web/,
  });
  assert.deepEqual([...(await scene.crew.connections())], []);
});

test("what is learned goes to every thread, in its order", async () => {
  const scene = crewOf(2, { silent: true });
  const workload = makeWorkload("web");
  const certificate = newWorkload(newRoot(), { uris: [spiffe("shop/web")] });
  scene.crew.apply({ addresses: [{ kind: "workload", workload }] });
  scene.crew.renewed(certificate);
  scene.crew.gone(certificate.identity);
  scene.filter.apply("access=debug");
  scene.crew.settle();
  for (const thread of [0, 1]) {
    await until(() => kinds(scene, thread).length === 5);
    assert.deepEqual(kinds(scene, thread), [
      "update",
      "certificate",
      "certificate-gone",
      "log-filter",
      "settle",
    ]);
    const [update] = scene.pairs.threads[thread]?.received ?? [];
    assert.deepEqual(update, {
      kind: "update",
      update: { addresses: [{ kind: "workload", workload }] },
    });
  }
});

test("a thread's questions are answered, with success or with the reason", async () => {
  const certificate: WorkloadCertificate = newWorkload(newRoot(), { uris: [spiffe("shop/web")] });
  const asked: string[] = [];
  const scene = crewOf(1, {
    silent: true,
    services: {
      certificate: (identity, priority) => {
        asked.push(`${identity.serviceAccount} ${priority}`);
        return identity.serviceAccount === "web"
          ? Promise.resolve(certificate)
          : nobody.certificate(identity, priority);
      },
      demand: (key) => {
        asked.push(key);
        return Promise.resolve();
      },
    },
  });
  const [thread] = scene.pairs.threads;
  assert.ok(thread);
  const request = { kind: "certificate", identity: certificate.identity, priority: "real-time" };
  thread.say({ kind: "call", call: 1, request });
  const other = { ...certificate.identity, serviceAccount: "other" };
  thread.say({ kind: "call", call: 2, request: { ...request, identity: other } });
  thread.say({ kind: "call", call: 3, request: { kind: "demand", key: "n/10.0.0.1" } });
  await until(() => thread.received.length === 3);
  assert.deepEqual(asked, ["web real-time", "other real-time", "n/10.0.0.1"]);
  const answers = new Map(
    (thread.received as { call: number; outcome: { kind: string; message?: string } }[]).map(
      ({ call, outcome }) => [call, outcome],
    ),
  );
  assert.equal(answers.get(1)?.kind, "done");
  assert.deepEqual(answers.get(2), {
    kind: "failed",
    code: "identity-unavailable",
    message: "none here",
  });
  assert.deepEqual(answers.get(3), { kind: "done", value: null });
});

test("numbers are the sum of all threads, each thread's own stand beside one another, and asking again adds nothing", async () => {
  const { crew, pairs } = crewOf(2, { silent: true });
  const registry = new Metrics();
  const metrics = createZtunnelMetrics(registry, "x");
  createRuntimeMetrics(registry, { openConnections: 2, takenConnections: 5 }, 3);
  metrics.socketsOpen("source").value = 1;
  const collect = async (): Promise<string> => {
    const collected = crew.collectMetrics(registry);
    for (const [index, thread] of pairs.threads.entries()) {
      const asked = thread.received.length;
      await until(() => thread.received.length > asked || thread.received.some(isMetricsCall));
      const call = thread.received.findLast(isMetricsCall) as { call: number };
      const value = [
        { name: "istio_tcp_sockets_open", series: [{ labels: ["source"], value: 10 + index }] },
        { name: "tokio_num_alive_tasks", series: [{ labels: [], value: 7 }] },
        { name: "ambit_worker_connections", series: [{ labels: [String(index + 1)], value: 4 }] },
      ];
      thread.say({ kind: "answer", call: call.call, outcome: { kind: "done", value } });
      thread.received.length = 0;
    }
    await collected;
    return registry.render();
  };
  await collect();
  const text = await collect();
  assert.match(text, /^istio_tcp_sockets_open\{reporter="source"\} 22$/m);
  assert.match(text, /^tokio_num_alive_tasks 16$/m);
  assert.match(text, /^tokio_num_workers 3$/m);
  assert.match(text, /^istio_build\{component="ztunnel",tag="x"\} 1$/m);
  for (const [worker, taken] of [5, 4, 4].entries())
    assert.match(
      text,
      new RegExp(`^ambit_worker_connections_total\\{worker="${worker}"\\} ${taken}$`, "m"),
    );
});

test("a thread that does not answer in time is shown as it was", async () => {
  const { crew } = crewOf(1, { silent: true });
  const registry = new Metrics();
  const startedMs = performance.now();
  await crew.collectMetrics(registry);
  assert.deepEqual(await crew.decisions(10), []);
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs > 1_900 && tookMs < 4_000, `${tookMs} ms`);
});

test("a real thread's families are all known to the main one", async () => {
  const { crew } = crewOf(1);
  const registry = new Metrics();
  createZtunnelMetrics(registry, "x");
  createRuntimeMetrics(registry, { openConnections: 0, takenConnections: 0 }, 2);
  await crew.collectMetrics(registry);
  assert.match(await registry.render(), /^ambit_worker_connections_total\{worker="1"\} 0$/m);
});

test("log lines are written by the main thread, whole, and are accounted for", async () => {
  const { pairs, written } = crewOf(1, { silent: true });
  const [thread] = pairs.threads;
  assert.ok(thread);
  const text = "one line\nand another\n";
  Atomics.add(new Int32Array(thread.start.linesInFlight), 0, text.length);
  thread.say({ kind: "lines", text });
  await until(() => written.length === 1);
  assert.deepEqual(written, [text]);
});

test("a thread that ends unasked is a loss, and whoever waits for it is told", async () => {
  const { crew, pairs } = crewOf(2, { silent: true });
  const starting = crew.newPod(info, undefined).start();
  starting.catch(() => undefined);
  pairs.threads[1]?.die(new Error("out of memory"));
  pairs.threads[0]?.die();
  await assert.rejects(crew.lost, { message: /^data-path thread \d ended/ });
  await assert.rejects(starting, { code: "system-failed" });
  await assert.rejects(crew.up(), /data-path thread \d ended/);
});

test("a thread that is not understood is a loss", async () => {
  const { crew, pairs } = crewOf(1, { silent: true });
  pairs.threads[0]?.say({ kind: "lines", text: "x", more: 1 });
  await assert.rejects(crew.lost, { message: "data-path thread 1 is not understood" });
});

test("a thread that cannot take a message in ends, and says why", async () => {
  const scene = crewOf(1);
  await scene.crew.up();
  // What TypeScript would not let through.
  scene.crew.apply({ addresses: [{ kind: "workload" }] } as never);
  await assert.rejects(scene.crew.lost, /data-path thread 1 ended/);
  assert.match(scene.written.join(""), /error\tapp\tdata-path thread cannot go on/);
});

test("closing ends the threads, which is no loss", async () => {
  const { crew } = crewOf(2);
  await crew.up();
  await crew.close();
  await assert.rejects(crew.newPod(info, undefined).start(), { code: "system-failed" });
  const lost = await Promise.race([crew.lost.catch(() => "lost"), systemClock.sleep(20)]);
  assert.equal(lost, undefined);
});

function isMetricsCall(message: unknown): boolean {
  return JSON.stringify(message).includes('"metrics"');
}
