/** The reactions of wire/ztunnel.md section 3.4, row by row, on the pure step function. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NetworkNamespace } from "../../../../src/shared/os/network-namespace.ts";
import {
  initialState,
  isReady,
  type ManagerEffect,
  type ManagerInput,
  type ManagerState,
  type PodRecord,
  step,
} from "../../../../src/ztunnel/inpod/manager-state.ts";

/** Handles are told apart by name; those with the same letter are the same namespace. */
function pod(uid: string, handle: string): PodRecord {
  const namespace = {
    label: handle,
    sameAs: (other: { label: string }) => other.label[0] === handle[0],
  } as unknown as NetworkNamespace;
  return { uid, info: { name: uid, namespace: "ns", serviceAccount: "sa" }, namespace };
}

const add = (uid: string, handle: string): ManagerInput => ({ kind: "add", pod: pod(uid, handle) });
const remove = (uid: string): ManagerInput => ({ kind: "delete", uid });
const keep = (uid: string): ManagerInput => ({ kind: "keep", uid });
const connected: ManagerInput = { kind: "connected" };
const disconnected: ManagerInput = { kind: "disconnected" };
const snapshotSent: ManagerInput = { kind: "snapshot-sent" };
const retryDue: ManagerInput = { kind: "retry-due" };
const started: ManagerInput = { kind: "started" };
const failed: ManagerInput = { kind: "start-failed", reason: "busy" };

function show(effect: ManagerEffect): string {
  switch (effect.kind) {
    case "start":
    case "stop":
      return `${effect.kind} ${effect.pod.uid}@${effect.pod.namespace.label}`;
    case "close":
      return `close ${effect.namespace.label}`;
    case "answer":
      return effect.error === undefined ? "ok" : `error: ${effect.error}`;
    case "fail":
      return `fail: ${effect.reason}`;
  }
}

function run(...inputs: readonly ManagerInput[]): { effects: string[]; state: ManagerState } {
  let state = initialState;
  const effects: string[] = [];
  for (const input of inputs) {
    const next = step(state, input);
    state = next.state;
    effects.push(...next.effects.map(show));
  }
  return { effects, state };
}

const startError = "error: failure to start proxy : busy";

describe("the workload manager", () => {
  const cases: readonly {
    readonly name: string;
    readonly inputs: readonly ManagerInput[];
    readonly effects: readonly string[];
    readonly running?: readonly string[];
    readonly pending?: readonly string[];
    readonly ready?: boolean;
  }[] = [
    {
      name: "starts what is added and is ready after the snapshot",
      inputs: [connected, add("a", "A1"), started, snapshotSent],
      effects: ["start a@A1", "ok", "ok"],
      running: ["a"],
      ready: true,
    },
    {
      name: "is not ready before the snapshot is complete",
      inputs: [connected, add("a", "A1"), started],
      effects: ["start a@A1", "ok"],
      running: ["a"],
    },
    {
      name: "answers a second add of the same namespace without doing anything",
      inputs: [connected, snapshotSent, add("a", "A1"), started, add("a", "A2")],
      effects: ["ok", "start a@A1", "ok", "close A2", "ok"],
      running: ["a"],
      ready: true,
    },
    {
      name: "replaces the proxy when the pod comes back in another namespace",
      inputs: [connected, snapshotSent, add("a", "A1"), started, add("a", "B1"), started],
      effects: ["ok", "start a@A1", "ok", "stop a@A1", "start a@B1", "ok"],
      running: ["a"],
      ready: true,
    },
    {
      name: "answers a failed start with its reason, is not ready, and tries again",
      inputs: [
        connected,
        snapshotSent,
        add("a", "A1"),
        failed,
        retryDue,
        failed,
        retryDue,
        started,
      ],
      effects: ["ok", "start a@A1", startError, "start a@A1", "start a@A1"],
      running: ["a"],
      ready: true,
    },
    {
      name: "keeps a failed pod pending",
      inputs: [connected, snapshotSent, add("a", "A1"), failed],
      effects: ["ok", "start a@A1", startError],
      pending: ["a"],
    },
    {
      name: "tries all pending pods in turn",
      inputs: [
        connected,
        snapshotSent,
        add("a", "A1"),
        failed,
        add("b", "B1"),
        failed,
        retryDue,
        failed,
        started,
      ],
      effects: [
        "ok",
        "start a@A1",
        startError,
        "start b@B1",
        startError,
        "start a@A1",
        "start b@B1",
      ],
      running: ["b"],
      pending: ["a"],
    },
    {
      name: "forgets a failed pod that is deleted",
      inputs: [connected, snapshotSent, add("a", "A1"), failed, remove("a"), retryDue],
      effects: ["ok", "start a@A1", startError, "close A1", "ok"],
      ready: true,
    },
    {
      name: "starts a pending pod at once when it is added again",
      inputs: [connected, snapshotSent, add("a", "A1"), failed, add("a", "A2"), started],
      effects: ["ok", "start a@A1", startError, "close A1", "start a@A2", "ok"],
      running: ["a"],
      ready: true,
    },
    {
      name: "stops a deleted pod at once",
      inputs: [connected, snapshotSent, add("a", "A1"), started, remove("a")],
      effects: ["ok", "start a@A1", "ok", "stop a@A1", "ok"],
      ready: true,
    },
    {
      name: "takes the deletion of an unknown pod for success",
      inputs: [connected, snapshotSent, remove("a")],
      effects: ["ok", "ok"],
      ready: true,
    },
    {
      name: "adds, deletes and adds again",
      inputs: [
        connected,
        snapshotSent,
        add("a", "A1"),
        started,
        remove("a"),
        add("a", "A2"),
        started,
      ],
      effects: ["ok", "start a@A1", "ok", "stop a@A1", "ok", "start a@A2", "ok"],
      running: ["a"],
      ready: true,
    },
    {
      name: "stops after a new snapshot what was not named in it",
      inputs: [
        connected,
        add("a", "A1"),
        started,
        add("b", "B1"),
        started,
        snapshotSent,
        disconnected,
        connected,
        add("a", "A2"),
        snapshotSent,
      ],
      effects: ["start a@A1", "ok", "start b@B1", "ok", "ok", "close A2", "ok", "stop b@B1", "ok"],
      running: ["a"],
      ready: true,
    },
    {
      name: "keeps what the snapshot asks to keep",
      inputs: [
        connected,
        add("a", "A1"),
        started,
        snapshotSent,
        disconnected,
        connected,
        keep("a"),
        snapshotSent,
      ],
      effects: ["start a@A1", "ok", "ok", "ok", "ok"],
      running: ["a"],
      ready: true,
    },
    {
      name: "stops at the end of the snapshot, not before, what was deleted in it",
      inputs: [
        connected,
        add("a", "A1"),
        started,
        snapshotSent,
        disconnected,
        connected,
        add("a", "A2"),
        remove("a"),
        snapshotSent,
      ],
      effects: ["start a@A1", "ok", "ok", "close A2", "ok", "ok", "stop a@A1", "ok"],
      ready: true,
    },
    {
      name: "keeps proxies through a disconnection, but is not ready",
      inputs: [connected, add("a", "A1"), started, snapshotSent, disconnected],
      effects: ["start a@A1", "ok", "ok"],
      running: ["a"],
    },
    {
      name: "forgets pending pods when it connects anew",
      inputs: [connected, snapshotSent, add("a", "A1"), failed, disconnected, connected],
      effects: ["ok", "start a@A1", startError, "close A1"],
    },
    {
      name: "refuses keep after the snapshot",
      inputs: [connected, snapshotSent, keep("a")],
      effects: ["ok", "fail: keep after the snapshot"],
      ready: true,
    },
    {
      name: "refuses a second end of the snapshot",
      inputs: [connected, snapshotSent, snapshotSent],
      effects: ["ok", "fail: second end of the snapshot"],
      ready: true,
    },
    {
      name: "refuses an add that does not say who it is",
      inputs: [connected, { kind: "add-without-info" }],
      effects: ["fail: add without workload info"],
    },
  ];
  for (const { name, inputs, effects, running = [], pending = [], ready = false } of cases)
    it(name, () => {
      const result = run(...inputs);
      assert.deepEqual(result.effects, effects);
      assert.deepEqual([...result.state.running.keys()], running);
      assert.deepEqual([...result.state.pending.keys()], pending);
      assert.equal(isReady(result.state), ready);
      assert.equal(result.state.activity.kind, "idle");
    });

  it("takes nothing in while a proxy starts but the result", () => {
    const { state } = run(connected, add("a", "A1"));
    for (const input of [connected, snapshotSent, remove("a"), retryDue])
      assert.throws(() => step(state, input));
    assert.throws(() => step(initialState, started));
  });
});
