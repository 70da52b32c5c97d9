/** Whatever happened before, a pass says exactly what a fresh start would say, and a client that follows ends with the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SnapshotBuilder } from "../../../src/controlplane/push/snapshot.ts";
import {
  addressType,
  authorizationType,
  type PushSnapshot,
} from "../../../src/controlplane/push/types.ts";
import type { RedirectedPods } from "../../../src/controlplane/translate/redirection.ts";
import { defaultMeshSettings } from "../../../src/controlplane/translate/settings.ts";
import { Translator } from "../../../src/controlplane/translate/translate.ts";
import {
  emptyContent,
  type FileContent,
  mergeContents,
  updateContent,
} from "../../../src/shared/objects/file/content.ts";
import { gateway, inputOf, istio, namespace, pod, service } from "../../support/translate.ts";

const mode = (value: string) => ({ mtls: { mode: value } });
const use = { "istio.io/use-waypoint": "wp" };
const netns = { "ambit.dev/netns": "/x" };

/** Variants of a few objects; a step of the world chooses one variant of each, or leaves it out. */
const slots: readonly (readonly string[])[] = [
  [
    namespace("shop"),
    namespace("shop", { "istio.io/dataplane-mode": "ambient" }),
    namespace("shop", use),
  ],
  [
    pod("a"),
    pod("a", { labels: { app: "b" } }),
    pod("a", { annotations: netns }),
    pod("a", { status: { conditions: [] } }),
  ],
  [pod("b"), pod("b", { namespace: "other" }), pod("b", { labels: { ...use, app: "a" } })],
  [service("a"), service("a", { spec: { ports: [{ port: 81 }] } }), service("a", { labels: use })],
  [service("b"), service("b", { spec: { selector: {} } })],
  [gateway("wp"), gateway("wp", { labels: { "istio.io/waypoint-for": "all" } })],
  [service("wp", { spec: { clusterIP: "10.96.9.9" } })],
  [istio("PeerAuthentication", "mesh", mode("STRICT"), { namespace: "istio-system" })],
  [
    istio("PeerAuthentication", "own", mode("PERMISSIVE")),
    istio("PeerAuthentication", "own", mode("STRICT")),
  ],
  [
    istio("AuthorizationPolicy", "p", { selector: { matchLabels: { app: "a" } } }),
    istio("AuthorizationPolicy", "p", { action: "DENY", rules: [{}] }),
    istio("AuthorizationPolicy", "p", { targetRefs: [{ kind: "Service", name: "a" }] }),
  ],
  [
    istio("ServiceEntry", "e", {
      hosts: ["x.org"],
      resolution: "STATIC",
      addresses: ["1.1.1.1"],
      ports: [{ number: 80, name: "http" }],
      endpoints: [{ address: "2.2.2.2" }],
    }),
    istio("ServiceEntry", "e", {
      hosts: ["x.org"],
      resolution: "DNS",
      ports: [{ number: 80, name: "http" }],
    }),
    istio("ServiceEntry", "e", {
      hosts: ["x.org"],
      resolution: "STATIC",
      ports: [{ number: 80, name: "http" }],
      workloadSelector: { labels: { app: "a" } },
    }),
  ],
  [
    istio(
      "ServiceEntry",
      "rival",
      { hosts: ["x.org"], resolution: "NONE" },
      { namespace: "other" },
    ),
  ],
  [istio("WorkloadEntry", "w", { address: "3.3.3.3", labels: { app: "a" } })],
  [
    "apiVersion: v1\nkind: Node\nmetadata: { name: node1, labels: { topology.kubernetes.io/zone: z1 } }",
    "apiVersion: v1\nkind: Node\nmetadata: { name: node1, labels: { topology.kubernetes.io/zone: z2 } }",
  ],
];

const world = fc.record({
  choices: fc.tuple(...slots.map((variants) => fc.nat({ max: variants.length }))),
  redirected: fc.constantFrom<RedirectedPods>(
    new Map(),
    new Map([["node1", new Set<string>()]]),
    new Map([["node1", new Set(["shop/a"])]]),
  ),
});

function textOf(choices: readonly number[]): string {
  // The choice after the last variant leaves the object out.
  return slots.flatMap((variants, slot) => variants[choices[slot] ?? 0] ?? []).join("\n---\n");
}

/** What a client holds that applies every change. */
class Follower {
  readonly held = new Map<string, string>();

  follow(change: {
    readonly upserted: readonly { readonly name: string; readonly bytes: Uint8Array }[];
    readonly removed: readonly { readonly name: string }[];
  }): void {
    for (const { name, bytes } of change.upserted)
      this.held.set(name, Buffer.from(bytes).toString("hex"));
    for (const { name } of change.removed) this.held.delete(name);
  }
}

function contentOf(
  snapshot: PushSnapshot,
  type: typeof addressType | typeof authorizationType,
): Map<string, string> {
  return new Map(
    [...snapshot.tables[type].byName].map(([name, { bytes }]) => [
      name,
      Buffer.from(bytes).toString("hex"),
    ]),
  );
}

test("incremental passes equal fresh ones", () => {
  fc.assert(
    fc.property(fc.array(world, { minLength: 1, maxLength: 8 }), (steps) => {
      const translator = new Translator(defaultMeshSettings);
      const snapshots = new SnapshotBuilder();
      const addresses = new Follower();
      const policies = new Follower();
      let content: FileContent = emptyContent("f");
      for (const { choices, redirected } of steps) {
        content = updateContent(content, textOf(choices));
        assert.deepEqual(content.problems, []);
        const input = inputOf(mergeContents([content]).objects, redirected);
        const state = translator.translate(input);
        const fresh = new Translator(defaultMeshSettings).translate(input);
        assert.deepEqual(state, fresh);
        const { snapshot, change } = snapshots.next(state);
        addresses.follow(change[addressType]);
        policies.follow(change[authorizationType]);
        assert.deepEqual(
          new Map([...addresses.held].sort()),
          new Map([...contentOf(snapshot, addressType)].sort()),
        );
        assert.deepEqual(
          new Map([...policies.held].sort()),
          new Map([...contentOf(snapshot, authorizationType)].sort()),
        );
      }
    }),
    { numRuns: 60 },
  );
});

test("the same world twice is no change", () => {
  fc.assert(
    fc.property(world, ({ choices, redirected }) => {
      const translator = new Translator(defaultMeshSettings);
      const snapshots = new SnapshotBuilder();
      const pass = () => {
        const { objects } = mergeContents([updateContent(emptyContent("f"), textOf(choices))]);
        return snapshots.next(translator.translate(inputOf(objects, redirected))).change;
      };
      pass();
      const second = pass();
      assert.deepEqual(
        [second[addressType].upserted, second[authorizationType].upserted],
        [[], []],
      );
    }),
    { numRuns: 25 },
  );
});
