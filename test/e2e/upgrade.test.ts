import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { LoadFailure } from "../../src/cli/demo/apps/protocol.ts";
import { NODES } from "../../src/cli/demo/shop.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import { isReady } from "../../src/cli/world/mesh.ts";
import { allowManyPorts, type Churned, whileChurning } from "../support/churn.ts";
import { isFullScale } from "../support/scale.ts";
import { answers, closeStage, http, openStage, untilAnswers } from "../support/stage.ts";

/** Ten out of ten is what users are promised; three keep the ordinary run short. */
const ROUNDS = isFullScale ? 10 : 3;
const CONCURRENCY = 8;
const INBOUND_PORT_HEX = "3AA0";
/** Every thread of a ztunnel's data path listens by itself; the ztunnels inherit the setting. */
const THREADS = Number(process.env["ZTUNNEL_WORKER_THREADS"] ?? 1);

let stage: Stage;

before(async () => {
  // Half of what Kubernetes gives: the old one must not run out of time while a busy machine starts its successor.
  stage = await openStage({ ztunnelEnv: { TERMINATION_GRACE_PERIOD_SECONDS: "15" } });
  await allowManyPorts(stage);
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
});

after(() => closeStage(stage));

function describeFailures(failures: readonly LoadFailure[]): string {
  const said = failures.slice(0, 5).map(({ target, reason }) => `${target}: ${reason}`);
  return `${failures.length} failed: ${said.join("; ")}`;
}

function assertNoneFailed(churned: Churned<unknown>, atLeast: number): void {
  assert.equal(churned.failures.length, 0, describeFailures(churned.failures));
  assert.ok(churned.ok >= atLeast, `only ${churned.ok} connections were made`);
}

/** Processes that listen for tunnels in a pod. */
async function listeners(pod: string): Promise<number> {
  const { stdout } = await stage.world.run(pod, ["cat", "/proc/net/tcp6"]);
  const sockets = stdout
    .split("\n")
    .filter((line) => line.includes(`:${INBOUND_PORT_HEX} `) && line.includes(" 0A "));
  return sockets.length / THREADS;
}

for (let round = 1; round <= ROUNDS; round++) {
  for (const node of NODES) {
    test(`replacement ${round} of the ztunnel of ${node} fails no connection`, async () => {
      const churned = await whileChurning(stage, CONCURRENCY, async () => {
        const { before: old } = await stage.mesh.replaceZtunnel(node);
        const exit = await old.process.exited;
        assert.equal(exit.code, 0, exit.signal ?? "");
        await delay(200);
      });
      assertNoneFailed(churned, 100);
    });
  }
}

test("the old one accepts until its successor has proven a round trip, not until it says it is ready", async () => {
  const old = stage.mesh.ztunnel("node2").process;
  const { process: successor } = await stage.mesh.startZtunnel("node2");
  // A blocked process still listens: connections would wait there, and the kernel would accept them.
  successor.kill("SIGSTOP");
  const churned = await whileChurning(stage, CONCURRENCY, async () => {
    old.kill("SIGTERM");
    await delay(1_000);
    assert.equal(await listeners("catalog-v2"), 2, "the old one has closed its listeners");
    successor.kill("SIGCONT");
    await eventually("the old one goes on listening", 3_000, async () =>
      (await listeners("catalog-v2")) === 1 ? true : undefined,
    );
  });
  assertNoneFailed(churned, 100);
  assert.equal((await old.exited).code, 0);
});

/** Connections that were under way in a killed process are lost with it; those that begin later must not be. */
function assertLaterOnesGoThrough(churned: Churned<number>, atLeast: number): void {
  const later = churned.failures.filter(({ startedAtMs }) => startedAtMs > churned.outcome);
  assert.equal(later.length, 0, describeFailures(later));
  assert.ok(churned.failures.length <= 2 * CONCURRENCY, describeFailures(churned.failures));
  assert.ok(churned.ok >= atLeast, `only ${churned.ok} connections were made`);
}

for (const node of NODES) {
  test(`the old ztunnel of ${node} is killed in the middle of the overlap`, async () => {
    const old = stage.mesh.ztunnel(node).process;
    const churned = await whileChurning(stage, CONCURRENCY, async () => {
      await stage.mesh.startZtunnel(node);
      await delay(200);
      await old.stop("SIGKILL");
      const endedAtMs = Date.now();
      await delay(500);
      return endedAtMs;
    });
    assertLaterOnesGoThrough(churned, 100);
  });

  test(`the new ztunnel of ${node} is killed in the middle of the overlap, before and after the old one was told to go`, async () => {
    const { pod, process: old } = stage.mesh.ztunnel(node);
    const killSuccessor = async (): Promise<number> => {
      const { process: successor } = await stage.mesh.startZtunnel(node);
      await delay(200);
      await successor.stop("SIGKILL");
      return Date.now();
    };
    const before = await whileChurning(stage, CONCURRENCY, async () => {
      const endedAtMs = await killSuccessor();
      await delay(300);
      return endedAtMs;
    });
    assertLaterOnesGoThrough(before, 100);
    assert.ok(await isReady(pod.ip));
    // The next one is stopped before it can prove itself, and dies; its own successor takes over from the first.
    const { process: second } = await stage.mesh.startZtunnel(node);
    second.kill("SIGSTOP");
    const after = await whileChurning(stage, CONCURRENCY, async () => {
      old.kill("SIGTERM");
      await delay(500);
      await second.stop("SIGKILL");
      const endedAtMs = Date.now();
      await stage.mesh.startZtunnel(node);
      await old.exited;
      await delay(200);
      return endedAtMs;
    });
    assertLaterOnesGoThrough(after, 100);
    assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
  });
}
