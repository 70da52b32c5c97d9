/** What waypoints are told, from one state of the mesh to the next. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  clusterType,
  endpointType,
  listenerType,
  type WaypointResources,
} from "../../../../src/controlplane/push/types.ts";
import { WaypointViews } from "../../../../src/controlplane/push/waypoint-views.ts";
import { defaultMeshSettings } from "../../../../src/controlplane/translate/settings.ts";
import { Translator } from "../../../../src/controlplane/translate/translate.ts";
import { SourceBuilder } from "../../../../src/controlplane/translate/waypoint/sources.ts";
import {
  emptyContent,
  mergeContents,
  updateContent,
} from "../../../../src/shared/objects/file/content.ts";
import { NodeSchema } from "../../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { inputOf } from "../../../support/translate.ts";

const base = readFileSync(
  resolve(import.meta.dirname, "../../../golden/l7-base/input.yaml"),
  "utf8",
);

/** A mesh whose objects change, and the waypoints of its namespace `shop`. */
class Scene {
  readonly #translator = new Translator(defaultMeshSettings);
  readonly #builder = new SourceBuilder(defaultMeshSettings);
  readonly views: WaypointViews;
  #content = emptyContent("mesh.yaml");
  reads = 0;

  constructor() {
    this.views = new WaypointViews(() => {
      this.reads++;
      const { last } = this.#translator;
      assert.ok(last !== undefined);
      return this.#builder.build({ ...last, keySets: new Map() });
    }, "cluster.local");
    this.set(base);
  }

  set(text: string): void {
    this.#content = updateContent(this.#content, text);
    assert.deepEqual(this.#content.problems, []);
    const { objects } = mergeContents([this.#content]);
    this.#translator.translate(inputOf(objects));
    this.views.stateMoved();
  }

  ask(pod = "waypoint-0", metadata: Record<string, string> = {}): WaypointResources {
    return this.views.resourcesFor(
      create(NodeSchema, {
        id: `waypoint~10.10.2.50~${pod}.shop~shop.svc.cluster.local`,
        cluster: "waypoint.shop",
        metadata: { NAMESPACE: "shop", ...metadata },
      }),
    );
  }
}

function changes({ change }: WaypointResources): Record<string, readonly string[]> {
  const names = (type: typeof clusterType | typeof endpointType | typeof listenerType) => [
    ...change[type].upserted.map(({ name }) => name),
    ...change[type].removed.map(({ name }) => `-${name}`),
  ];
  return {
    clusters: names(clusterType),
    endpoints: names(endpointType),
    listeners: names(listenerType),
  };
}

const quiet = { clusters: [], endpoints: [], listeners: [] };

test("nothing is made while nobody asks", () => {
  const scene = new Scene();
  scene.set(base.replace("10.10.1.12", "10.10.1.13"));
  assert.equal(scene.reads, 0);
});

test("the first time everything is new", () => {
  const resources = new Scene().ask();
  assert.equal(resources.tables[clusterType].byName.size, 10);
  assert.equal(resources.change[clusterType].upserted.length, 10);
  assert.equal(resources.change[listenerType].upserted.length, 5);
});

test("instances of one waypoint on one node share what they are told", () => {
  const scene = new Scene();
  assert.equal(scene.ask(), scene.ask());
});

test("a change elsewhere changes nothing, and keeps every resource", () => {
  const scene = new Scene();
  const before = scene.ask();
  scene.set(`${base}
---
apiVersion: v1
kind: Pod
metadata: { name: other, namespace: legacy, labels: { app: unrelated } }
spec: { nodeName: node1, serviceAccountName: x, containers: [] }
status: { phase: Running, podIP: 10.10.9.9, podIPs: [{ ip: 10.10.9.9 }] }
`);
  const after = scene.ask();
  assert.deepEqual(changes(after), quiet);
  for (const type of [clusterType, endpointType, listenerType] as const)
    for (const [name, resource] of after.tables[type].byName)
      assert.equal(resource, before.tables[type].byName.get(name));
});

test("an endpoint that moves changes the endpoints of its service only", () => {
  const scene = new Scene();
  scene.ask();
  scene.set(base.replaceAll("10.10.2.11", "10.10.2.77"));
  const { clusters, endpoints, listeners } = changes(scene.ask());
  assert.deepEqual([clusters, listeners], [[], []]);
  assert.ok((endpoints?.length ?? 0) > 0);
  assert.ok(
    endpoints?.every((name) => name.endsWith("|reviews.shop.svc.cluster.local")),
    `${endpoints}`,
  );
});

test("a rule changes the listener and leaves clusters and endpoints", () => {
  const scene = new Scene();
  scene.ask();
  const rule = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: shop }
spec: { hosts: [reviews], http: [{ route: [{ destination: { host: reviews } }], timeout: 2s }] }
`;
  scene.set(`${base}\n---${rule}`);
  assert.deepEqual(changes(scene.ask()), { ...quiet, listeners: ["main_internal"] });
  scene.set(
    `${base}\n---${rule.replace("{ host: reviews }", "{ host: old.legacy.svc.cluster.local }")}`,
  );
  assert.deepEqual(changes(scene.ask()), {
    clusters: ["outbound|8000||old.legacy.svc.cluster.local"],
    endpoints: ["outbound|8000||old.legacy.svc.cluster.local"],
    listeners: ["main_internal"],
  });
  scene.set(base);
  assert.deepEqual(changes(scene.ask()), {
    clusters: ["-outbound|8000||old.legacy.svc.cluster.local"],
    endpoints: ["-outbound|8000||old.legacy.svc.cluster.local"],
    listeners: ["main_internal"],
  });
});

test("what a pod says of itself counts where its object does not say it", () => {
  const scene = new Scene();
  const plain = scene.ask("waypoint-9", {});
  const timed = scene.ask("waypoint-9", { IDLE_TIMEOUT: "5m" });
  assert.notEqual(
    plain.tables[listenerType].byName.get("main_internal")?.version,
    timed.tables[listenerType].byName.get("main_internal")?.version,
  );
});
