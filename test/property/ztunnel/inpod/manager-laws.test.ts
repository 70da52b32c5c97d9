/** Laws that hold for every order of requests, failures, disconnections and retries. */
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import type { NetworkNamespace } from "../../../../src/shared/os/network-namespace.ts";
import {
  initialState,
  isReady,
  type ManagerEffect,
  type ManagerInput,
  type ManagerState,
  step,
} from "../../../../src/ztunnel/inpod/manager-state.ts";

const uid = fc.constantFrom("a", "b", "c");
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("add" as const), uid, place: fc.nat(2) }) },
  fc.record({ kind: fc.constantFrom("delete" as const, "keep" as const), uid }),
  fc.record({
    kind: fc.constantFrom(
      "connected" as const,
      "disconnected" as const,
      "snapshot-sent" as const,
      "retry-due" as const,
    ),
  }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** Follows what becomes of every handle that comes in. */
class Ledger {
  state: ManagerState = initialState;
  readonly given: NetworkNamespace[] = [];
  readonly closed: NetworkNamespace[] = [];
  readonly proxies = new Map<string, NetworkNamespace>();
  answers = 0;

  perform(one: Action, startsFail: boolean): void {
    const before = this.answers;
    this.#feed(this.#input(one), startsFail);
    const isRequest = ["add", "delete", "keep", "snapshot-sent"].includes(one.kind);
    assert.equal(
      this.answers - before,
      isRequest ? 1 : 0,
      "one answer for each request, none else",
    );
  }

  #input(one: Action): ManagerInput {
    if (one.kind !== "add") return one;
    const namespace = {
      place: one.place,
      sameAs: (other: { place: number }) => other.place === one.place,
    } as unknown as NetworkNamespace;
    this.given.push(namespace);
    const info = { name: one.uid, namespace: "ns", serviceAccount: "sa" };
    return { kind: "add", pod: { uid: one.uid, info, namespace } };
  }

  #feed(first: ManagerInput, startsFail: boolean): void {
    for (let input: ManagerInput | undefined = first; input !== undefined; ) {
      const next = step(this.state, input);
      this.state = next.state;
      input = undefined;
      for (const effect of next.effects) input = this.#carryOut(effect, startsFail) ?? input;
    }
  }

  #carryOut(effect: ManagerEffect, startsFail: boolean): ManagerInput | undefined {
    switch (effect.kind) {
      case "start":
        assert.equal(this.proxies.has(effect.pod.uid), false, "never two proxies for one pod");
        if (startsFail) return { kind: "start-failed", reason: "busy" };
        this.proxies.set(effect.pod.uid, effect.pod.namespace);
        return { kind: "started" };
      case "stop":
        assert.equal(this.proxies.get(effect.pod.uid), effect.pod.namespace, "stops what runs");
        this.proxies.delete(effect.pod.uid);
        this.closed.push(effect.pod.namespace);
        return undefined;
      case "close":
        this.closed.push(effect.namespace);
        return undefined;
      case "answer":
      case "fail":
        this.answers++;
        return undefined;
    }
  }

  check(): void {
    const { running, pending, activity } = this.state;
    assert.equal(activity.kind, "idle");
    assert.deepEqual([...running.keys()].sort(), [...this.proxies.keys()].sort());
    for (const name of pending.keys()) assert.equal(running.has(name), false);
    const held = [...running.values(), ...pending.values()].map((pod) => pod.namespace);
    // Each handle is in use or closed, and never both or twice.
    const accounted = [...held, ...this.closed];
    assert.equal(new Set(accounted).size, accounted.length);
    assert.equal(accounted.length, this.given.length);
    if (isReady(this.state)) assert.equal(pending.size, 0);
  }
}

it("every handle is held or closed once, every request is answered once, every pod has one proxy", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(action, fc.boolean()), { maxLength: 40 }), (actions) => {
      const ledger = new Ledger();
      for (const [one, startsFail] of actions) {
        ledger.perform(one, startsFail);
        ledger.check();
      }
    }),
    { numRuns: 500 },
  );
});

it("after a whole snapshot exactly the named pods are left", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(action, fc.boolean()), { maxLength: 20 }),
      fc.uniqueArray(uid),
      (history, named) => {
        const ledger = new Ledger();
        for (const [one, startsFail] of history) ledger.perform(one, startsFail);
        ledger.perform({ kind: "connected" }, false);
        for (const name of named) ledger.perform({ kind: "add", uid: name, place: 0 }, false);
        ledger.perform({ kind: "snapshot-sent" }, false);
        assert.deepEqual([...ledger.proxies.keys()].sort(), [...named].sort());
        assert.equal(isReady(ledger.state), true);
      },
    ),
  );
});
