import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Readiness } from "../../../../src/shared/base/readiness.ts";
import type { NetworkNamespace } from "../../../../src/shared/os/network-namespace.ts";
import type { ManagerInput } from "../../../../src/ztunnel/inpod/manager-state.ts";
import type { PodProxyFactory } from "../../../../src/ztunnel/inpod/pod-proxy.ts";
import { WorkloadManager } from "../../../../src/ztunnel/inpod/workload-manager.ts";
import { quietLog } from "../../../support/log.ts";

let events: string[];
let readiness: Readiness;
let gauges: { active: number; pending: number };
let startsFail: boolean;

function namespace(name: string): NetworkNamespace {
  return {
    label: name,
    sameAs: (other: { label: string }) => other.label === name,
    close: () => events.push(`close ${name}`),
  } as unknown as NetworkNamespace;
}

const factory: PodProxyFactory = {
  start: async ({ uid }) => {
    // A start takes time, in which other calls arrive.
    await Promise.resolve();
    if (startsFail) throw new Error("busy");
    events.push(`start ${uid}`);
    return {
      drain: async (deadlineMs) => {
        events.push(`drain ${uid} ${deadlineMs}`);
      },
      stop: () => events.push(`stop ${uid}`),
    };
  },
};

function add(uid: string): ManagerInput {
  const info = { name: uid, namespace: "ns", serviceAccount: "sa" };
  return { kind: "add", pod: { uid, info, namespace: namespace(uid) } };
}

function newManager(): WorkloadManager {
  const metrics = {
    activeProxies: (count: number) => {
      gauges.active = count;
    },
    pendingProxies: (count: number) => {
      gauges.pending = count;
    },
    proxyStarted: () => events.push("started"),
    proxyStopped: () => events.push("stopped"),
  };
  return new WorkloadManager({ factory, metrics, readiness, log: quietLog });
}

beforeEach(() => {
  events = [];
  readiness = new Readiness();
  gauges = { active: -1, pending: -1 };
  startsFail = false;
});

describe("the workload manager's shell", () => {
  it("handles inputs one after the other however they come", async () => {
    const manager = newManager();
    const outcomes = await Promise.all([
      manager.handle({ kind: "connected" }),
      manager.handle(add("a")),
      manager.handle({ kind: "snapshot-sent" }),
      manager.handle({ kind: "delete", uid: "a" }),
    ]);
    assert.deepEqual(events, ["start a", "started", "stop a", "close a", "stopped"]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.kind),
      ["none", "answer", "answer", "answer"],
    );
    assert.deepEqual(gauges, { active: 0, pending: 0 });
  });

  it("blocks readiness by name until the snapshot is complete and all pods run", async () => {
    const manager = newManager();
    assert.deepEqual(readiness.pending(), ["workload proxy manager"]);
    await manager.handle({ kind: "connected" });
    startsFail = true;
    const outcome = await manager.handle(add("a"));
    assert.deepEqual(outcome, { kind: "answer", error: "failure to start proxy : busy" });
    await manager.handle({ kind: "snapshot-sent" });
    assert.equal(readiness.ready, false);
    assert.deepEqual(gauges, { active: 0, pending: 1 });
    startsFail = false;
    await manager.retryPending();
    assert.equal(readiness.ready, true);
    assert.deepEqual(gauges, { active: 1, pending: 0 });
    await manager.handle({ kind: "disconnected" });
    assert.equal(readiness.ready, false);
  });

  it("reports a broken protocol", async () => {
    const manager = newManager();
    await manager.handle({ kind: "connected" });
    const outcome = await manager.handle({ kind: "add-without-info" });
    assert.deepEqual(outcome, { kind: "fail", reason: "add without workload info" });
  });

  it("drains every proxy at the end and takes nothing in afterwards", async () => {
    const manager = newManager();
    await manager.handle({ kind: "connected" });
    await manager.handle(add("a"));
    await manager.handle(add("b"));
    events = [];
    await Promise.all([manager.drain(500), manager.handle(add("late"))]);
    assert.deepEqual(events.sort(), [
      "close a",
      "close b",
      "close late",
      "drain a 500",
      "drain b 500",
      "stopped",
      "stopped",
    ]);
    assert.equal(gauges.active, 0);
    await manager.drain(500);
  });
});
