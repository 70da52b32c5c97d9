import assert from "node:assert/strict";
import { test } from "node:test";
import { ResourceLookup } from "../../../../src/controlplane/push/lookup.ts";
import {
  Subscription,
  type SubscriptionRequest,
} from "../../../../src/controlplane/push/subscription.ts";
import {
  addressType,
  type PushResource,
  type ResourceTable,
} from "../../../../src/controlplane/push/types.ts";

const nothing = { subscribe: [], unsubscribe: [], initialVersions: {} };
const onDemand = { subscribe: ["*"], unsubscribe: ["*"], initialVersions: {} };

function resource(name: string, parts: Partial<PushResource> = {}): PushResource {
  return {
    name,
    version: "1",
    bytes: new Uint8Array(),
    aliases: [],
    services: [],
    node: "",
    ...parts,
  };
}

const service = resource("shop/web", { aliases: ["/10.96.0.1"] });
const one = resource("c//Pod/shop/one", {
  aliases: ["/10.0.0.1"],
  services: ["shop/web"],
  node: "n1",
});
const two = resource("c//Pod/shop/two", { aliases: ["/10.0.0.2"], node: "n2" });

/** A world that can change, and a subscription in it. */
class Scene {
  table: ResourceTable;
  readonly subscription: Subscription;

  constructor(resources: readonly PushResource[], node = "") {
    this.table = { byName: new Map(resources.map((one) => [one.name, one])) };
    this.subscription = new Subscription(addressType, node);
  }

  get view() {
    return { table: this.table, lookup: () => new ResourceLookup(this.table) };
  }

  ask(request: Partial<SubscriptionRequest>): void {
    this.subscription.request({ ...nothing, ...request }, this.view);
  }

  change(upserted: readonly PushResource[], removed: readonly PushResource[] = []): void {
    const byName = new Map(this.table.byName);
    for (const { name } of removed) byName.delete(name);
    for (const item of upserted) byName.set(item.name, item);
    this.table = { byName };
    this.subscription.changed({ upserted, removed }, this.view);
  }

  take(): string {
    const response = this.subscription.take(this.view);
    if (response === undefined) return "nothing";
    const sent = response.resources.map(({ name, version }) => `${name}@${version}`).sort();
    return (
      [...sent, ...[...response.removed].sort().map((name) => `-${name}`)].join(" ") || "empty"
    );
  }
}

test("nobody asked: nothing is sent, not even changes", () => {
  const scene = new Scene([one]);
  scene.change([two]);
  assert.equal(scene.take(), "nothing");
});

test("wildcard: everything, then changes, each name once with its newest state", () => {
  const scene = new Scene([one, service]);
  scene.ask({});
  assert.equal(scene.take(), "c//Pod/shop/one@1 shop/web@1");
  assert.equal(scene.take(), "nothing");
  scene.change([resource(one.name, { version: "2" })]);
  scene.change([resource(one.name, { version: "3" }), two]);
  scene.change([], [two]);
  assert.equal(scene.take(), "c//Pod/shop/one@3 -c//Pod/shop/two");
});

test("wildcard of an empty world is answered all the same", () => {
  const scene = new Scene([]);
  scene.ask({});
  assert.equal(scene.take(), "empty");
});

test("a reconnect gets the difference; what has no version always", () => {
  const policy = resource("shop/policy", { version: "" });
  const scene = new Scene([one, two, policy]);
  scene.ask({
    initialVersions: { [one.name]: "1", [two.name]: "0", "shop/policy": "", gone: "5" },
  });
  assert.equal(scene.take(), "c//Pod/shop/two@1 shop/policy@ -gone");
});

test("a star is a wildcard too, also later; unsubscribing it ends it", () => {
  const scene = new Scene([one]);
  scene.ask(onDemand);
  assert.equal(scene.take(), "empty");
  scene.ask({ subscribe: ["*"] });
  assert.equal(scene.take(), "c//Pod/shop/one@1");
  scene.ask({ unsubscribe: ["*"] });
  scene.change([two]);
  assert.equal(scene.take(), "nothing");
});

test("on demand: by name, by address, by a service with its endpoints", () => {
  const scene = new Scene([one, two, service]);
  scene.ask(onDemand);
  scene.take();
  scene.ask({ subscribe: [two.name] });
  assert.equal(scene.take(), "c//Pod/shop/two@1");
  scene.ask({ subscribe: ["/10.0.0.1"] });
  assert.equal(scene.take(), "c//Pod/shop/one@1");
  scene.ask({ subscribe: ["shop/web"] });
  assert.equal(scene.take(), "c//Pod/shop/one@1 shop/web@1");
  scene.ask({ subscribe: ["shop/absent", "/10.9.9.9"] });
  assert.equal(scene.take(), "-/10.9.9.9 -shop/absent");
});

test("on demand: what was asked for in vain comes when it appears", () => {
  const scene = new Scene([]);
  scene.ask(onDemand);
  scene.take();
  scene.ask({ subscribe: ["/10.96.0.1", "/10.0.0.2"] });
  assert.equal(scene.take(), "-/10.0.0.2 -/10.96.0.1");
  scene.change([service, one]);
  assert.equal(scene.take(), "c//Pod/shop/one@1 shop/web@1");
  scene.change([two]);
  assert.equal(scene.take(), "c//Pod/shop/two@1");
});

test("on demand: new endpoints of a known service follow, others do not", () => {
  const scene = new Scene([service]);
  scene.ask(onDemand);
  scene.take();
  scene.ask({ subscribe: ["shop/web"] });
  scene.take();
  scene.change([two]);
  assert.equal(scene.take(), "nothing");
  scene.change([one]);
  assert.equal(scene.take(), "c//Pod/shop/one@1");
  scene.change([], [one]);
  assert.equal(scene.take(), "-c//Pod/shop/one");
});

test("on demand: the node's own workloads come along, also new ones", () => {
  const scene = new Scene([one, two], "n1");
  scene.ask(onDemand);
  assert.equal(scene.take(), "c//Pod/shop/one@1");
  scene.change([resource("c//Pod/shop/three", { node: "n1" })]);
  assert.equal(scene.take(), "c//Pod/shop/three@1");
});

test("on demand: a reconnect keeps its interests", () => {
  const scene = new Scene([two, service]);
  scene.ask({
    ...onDemand,
    initialVersions: { [two.name]: "1", [one.name]: "1", "/10.9.9.9": "" },
  });
  assert.equal(scene.take(), "-/10.9.9.9 -c//Pod/shop/one");
  scene.change([resource(two.name, { version: "2" })]);
  assert.equal(scene.take(), "c//Pod/shop/two@2");
});

test("an unsubscribed name is forgotten", () => {
  const scene = new Scene([two]);
  scene.ask(onDemand);
  scene.ask({ subscribe: [two.name] });
  scene.take();
  scene.ask({ unsubscribe: [two.name] });
  scene.change([resource(two.name, { version: "2" })]);
  assert.equal(scene.take(), "nothing");
});
