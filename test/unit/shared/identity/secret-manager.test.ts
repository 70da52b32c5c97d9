import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { SecretManager } from "../../../../src/shared/identity/secret-manager.ts";
import { formatSpiffe, type SpiffeIdentity } from "../../../../src/shared/identity/spiffe.ts";
import type { WorkloadCertificate } from "../../../../src/shared/identity/workload-certificate.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { FakeClock } from "../../../support/clock.ts";
import { newRoot, newWorkload } from "./pki.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const root = newRoot();

function identity(serviceAccount: string): SpiffeIdentity {
  return { trustDomain: "cluster.local", namespace: "shop", serviceAccount };
}

interface Call {
  readonly account: string;
  readonly signal: AbortSignal;
  give(ttlMs?: number): Promise<WorkloadCertificate>;
  refuse(reason?: string): Promise<void>;
}

let clock: FakeClock;
let calls: Call[];
let manager: SecretManager;

/** Certificates must fit the fake time. */
function certificateFor(of: SpiffeIdentity, ttlMs: number): WorkloadCertificate {
  const nowMs = clock.wallMs();
  return newWorkload(root, {
    uris: [formatSpiffe(of)],
    validity: { notBeforeMs: nowMs, notAfterMs: nowMs + ttlMs },
  });
}

beforeEach(() => {
  clock = new FakeClock();
  calls = [];
  manager = new SecretManager({
    authority: {
      fetchCertificate: (of, signal) =>
        new Promise((resolve, reject) => {
          calls.push({
            account: of.serviceAccount,
            signal,
            give: async (ttlMs = DAY_MS) => {
              const certificate = certificateFor(of, ttlMs);
              resolve(certificate);
              await setImmediate();
              return certificate;
            },
            refuse: async (reason = "no") => {
              reject(new MeshError("identity-unavailable", `identity error: ${reason}`));
              await setImmediate();
            },
          });
        }),
    },
    clock,
    log: createLogger(
      { clock, filter: new LogFilter("off"), format: "plain", write: () => assert.fail() },
      "test",
    ),
    random: () => 0.5,
  });
});

const call = (index: number): Call => calls[index] ?? assert.fail(`no call ${index}`);
const stateOf = (account: string): string =>
  manager.snapshot().find((entry) => entry.identity.serviceAccount === account)?.state.kind ??
  "absent";

test("callers of one identity share one fetch and then the certificate", async () => {
  const both = Promise.all([
    manager.fetch(identity("web"), "real-time"),
    manager.fetch(identity("web"), "real-time"),
  ]);
  assert.equal(calls.length, 1);
  assert.equal(stateOf("web"), "initializing");
  const certificate = await call(0).give();
  assert.deepEqual(await both, [certificate, certificate]);
  assert.equal(await manager.fetch(identity("web"), "real-time"), certificate);
  assert.equal(calls.length, 1);
});

test("a certificate is replaced at half its life, and the old one serves meanwhile", async () => {
  manager.prefetch(identity("web"));
  const first = await call(0).give();
  assert.equal(clock.nextMs(), DAY_MS / 2);
  await clock.advance(DAY_MS / 2 - 1000);
  assert.equal(calls.length, 1);
  await clock.advance(1000);
  assert.equal(calls.length, 2);
  assert.equal(await manager.fetch(identity("web"), "real-time"), first);
  const second = await call(1).give();
  assert.equal(await manager.fetch(identity("web"), "real-time"), second);
  assert.equal(clock.pending, 1);
});

test("a failed renewal keeps the valid certificate, is retried, and ends at the expiry", async () => {
  manager.prefetch(identity("web"));
  const first = await call(0).give(10_000);
  await clock.advance(5000);
  const waits: (number | undefined)[] = [];
  for (let attempt = 1; attempt <= 3; attempt++) {
    await call(attempt).refuse("down");
    if (attempt < 3) assert.equal(await manager.fetch(identity("web"), "real-time"), first);
    waits.push(clock.nextMs());
    await clock.advance(waits.at(-1) ?? 0);
  }
  // 5 s are left: 1 s, 2 s, then what is left to the expiry instead of 4 s.
  assert.deepEqual(waits, [1000, 2000, 2000]);
  await call(4).refuse("still down");
  assert.equal(stateOf("web"), "unavailable");
  await assert.rejects(manager.fetch(identity("web"), "real-time"), {
    code: "identity-unavailable",
    message: "identity error: still down",
  });
});

test("waits double up to 150 s, spread by a fifth, and start over after a success", async () => {
  manager.prefetch(identity("web"));
  const waits: (number | undefined)[] = [];
  for (let attempt = 0; attempt < 10; attempt++) {
    await call(attempt).refuse();
    waits.push(clock.nextMs());
    await clock.advance(clock.nextMs() ?? 0);
  }
  assert.deepEqual(
    waits,
    [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 150_000, 150_000],
  );
  await call(10).give();
  await clock.advance(DAY_MS / 2);
  await call(11).refuse();
  assert.equal(clock.nextMs(), 1000);
});

test("with nothing valid left callers fail at once instead of waiting", async () => {
  const waiting = manager.fetch(identity("web"), "real-time");
  await Promise.all([assert.rejects(waiting, /identity error: no$/), call(0).refuse()]);
  await assert.rejects(manager.fetch(identity("web"), "real-time"), /identity error: no$/);
  await clock.advance(1000);
  const certificate = await call(1).give();
  assert.equal(await manager.fetch(identity("web"), "real-time"), certificate);
});

test("at most eight fetches run at once, the urgent ones first", async () => {
  for (let index = 0; index < 12; index++) manager.prefetch(identity(`warm${index}`));
  assert.equal(calls.length, 8);
  const urgent = manager.fetch(identity("urgent"), "real-time");
  const raised = manager.fetch(identity("warm11"), "real-time");
  await call(0).give();
  await call(1).refuse();
  await call(2).give();
  assert.deepEqual(
    calls.slice(8).map(({ account }) => account),
    ["urgent", "warm11", "warm8"],
  );
  await call(8).give();
  await call(9).give();
  await Promise.all([urgent, raised]);
});

test("renewals give way to new workloads", async () => {
  for (let index = 0; index < 8; index++) manager.prefetch(identity(`w${index}`));
  for (let index = 0; index < 8; index++) await call(index).give();
  for (let index = 0; index < 8; index++) manager.prefetch(identity(`x${index}`));
  await clock.advance(DAY_MS / 2);
  manager.prefetch(identity("new"));
  assert.equal(calls.length, 16);
  await call(8).give();
  assert.equal(call(16).account, "new");
});

test("forgetting refuses waiters, ends the fetch, and stops the timer", async () => {
  const waiting = manager.fetch(identity("web"), "warmup");
  manager.forget(identity("web"));
  await assert.rejects(waiting, { code: "identity-unavailable" });
  assert.equal(call(0).signal.aborted, true);
  await call(0).give();
  assert.equal(stateOf("web"), "absent");
  manager.prefetch(identity("web"));
  await call(1).give();
  assert.equal(clock.pending, 1);
  manager.forget(identity("web"));
  manager.forget(identity("web"));
  assert.equal(clock.pending, 0);
});

test("forgetting an identity that only waits in the queue never fetches it", async () => {
  for (let index = 0; index < 9; index++) manager.prefetch(identity(`w${index}`));
  manager.forget(identity("w8"));
  await call(0).give();
  assert.equal(calls.length, 8);
});

test("a caller that gives up does not end the fetch", async () => {
  const controller = new AbortController();
  const waiting = manager.fetch(identity("web"), "real-time", controller.signal);
  controller.abort(new Error("client left"));
  await assert.rejects(waiting, /client left/);
  await call(0).give();
  assert.equal(stateOf("web"), "available");
});

test("an identity that nobody pinned or used since its last renewal is let go", async () => {
  const waiting = manager.fetch(identity("web"), "real-time");
  await call(0).give();
  await waiting;
  await clock.advance(DAY_MS / 2);
  await call(1).give();
  await clock.advance(DAY_MS / 2);
  assert.equal(calls.length, 2);
  assert.equal(stateOf("web"), "absent");
  assert.equal(clock.pending, 0);
});

test("an expired certificate is never handed out, though its renewal hangs", async () => {
  manager.prefetch(identity("web"));
  await call(0).give(10_000);
  await clock.advance(11_000);
  const waiting = manager.fetch(identity("web"), "real-time");
  const second = await call(1).give();
  assert.equal(await waiting, second);
});

test("a certificate whose half life is over when it arrives is not asked for without pause", async () => {
  manager.prefetch(identity("web"));
  const nowMs = clock.wallMs();
  const late = newWorkload(root, {
    uris: [formatSpiffe(identity("web"))],
    validity: { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + 60_000 },
  });
  const given = call(0).give();
  await given;
  manager.forget(identity("web"));
  const other = new SecretManager({
    authority: { fetchCertificate: () => Promise.resolve(late) },
    clock,
    log: createLogger(
      { clock, filter: new LogFilter("off"), format: "plain", write: () => assert.fail() },
      "t",
    ),
    random: () => 0.5,
  });
  other.prefetch(identity("web"));
  await setImmediate();
  assert.equal(clock.nextMs(), 30_000);
  other.close();
  assert.equal(clock.pending, 0);
});

test("the snapshot is sorted and names states and errors", async () => {
  manager.prefetch(identity("web"));
  manager.prefetch(identity("catalog"));
  manager.prefetch(identity("orders"));
  await call(0).give();
  await call(1).refuse("refused");
  assert.deepEqual(
    manager
      .snapshot()
      .map(({ identity: { serviceAccount }, state }) => [serviceAccount, state.kind]),
    [
      ["catalog", "unavailable"],
      ["orders", "initializing"],
      ["web", "available"],
    ],
  );
});
