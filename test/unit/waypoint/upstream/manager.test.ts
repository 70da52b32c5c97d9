import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { ClusterConfig } from "../../../../src/waypoint/model/cluster.ts";
import type { Assignment } from "../../../../src/waypoint/model/endpoints.ts";
import type { Upstreams } from "../../../../src/waypoint/upstream/upstreams.ts";
import {
  assignment,
  clusterConfig,
  endpointAt,
  facts,
  upstreamHttp,
  upstreams,
} from "../../../support/waypoint/upstreams.ts";

let current: Upstreams | undefined;

afterEach(() => current?.destroy());

function manager(): Upstreams["clusters"] {
  current = upstreams();
  return current.clusters;
}

const plans = (...configs: readonly ClusterConfig[]): Map<string, ClusterConfig> =>
  new Map(configs.map((config) => [config.name, config]));
const assigned = (...list: readonly Assignment[]): Map<string, Assignment> =>
  new Map(list.map((each) => [each.cluster, each]));

describe("updates", () => {
  test("what an update leaves alone stays the same object, with the same endpoints", () => {
    const clusters = manager();
    clusters.update(
      plans(clusterConfig(), clusterConfig({ name: "d" })),
      assigned(assignment([1])),
    );
    const before = clusters.get("c");
    const endpoint = before?.pick(facts());
    // Equal, but other objects.
    clusters.update(
      plans(clusterConfig(), clusterConfig({ name: "d", connectTimeoutMs: 1 })),
      assigned(assignment([1])),
    );
    assert.equal(clusters.get("c"), before);
    assert.deepEqual(clusters.get("c")?.pick(facts()), endpoint);
    assert.equal(clusters.views().find(({ name }) => name === "c")?.counts.updates, 1);
  });

  test("changed settings keep the cluster and its endpoints", () => {
    const clusters = manager();
    clusters.update(plans(clusterConfig()), assigned(assignment([1])));
    const [before, endpoint] = [clusters.get("c"), clusters.get("c")?.pick(facts())];
    clusters.update(
      plans(
        clusterConfig({ balance: { kind: "random" }, http: upstreamHttp({ idleTimeoutMs: 5 }) }),
      ),
      assigned(assignment([1])),
    );
    assert.equal(clusters.get("c"), before);
    assert.equal(clusters.get("c")?.pick(facts()), endpoint);
  });

  test("another kind of discovery is another cluster", () => {
    const clusters = manager();
    clusters.update(plans(clusterConfig()), assigned(assignment([1])));
    const before = clusters.get("c");
    const discovery = { kind: "static", assignment: assignment([2]) } as const;
    clusters.update(plans(clusterConfig({ discovery })), new Map());
    assert.notEqual(clusters.get("c"), before);
    assert.equal(clusters.get("c")?.pick(facts()).kind, "endpoint");
    // Who still holds the old one is told that nobody is left.
    assert.equal(before?.pick(facts()).kind, "none");
  });

  test("endpoints come and go, others stay", () => {
    const clusters = manager();
    clusters.update(plans(clusterConfig()), assigned(assignment([1, 2])));
    const addresses = (): readonly string[] =>
      clusters.views()[0]?.endpoints.map(({ address }) => address) ?? [];
    assert.deepEqual(addresses(), ["127.0.0.1:1", "127.0.0.1:2"]);
    clusters.update(plans(clusterConfig()), assigned(assignment([2, 3])));
    assert.deepEqual(addresses(), ["127.0.0.1:2", "127.0.0.1:3"]);
  });

  test("a view does not change with later updates", () => {
    const clusters = manager();
    const first = clusters.update(plans(clusterConfig()), assigned(assignment([1])));
    clusters.update(plans(clusterConfig({ name: "d" })), new Map());
    assert.ok(first.get("c"));
    assert.equal(first.get("d"), undefined);
    assert.equal(clusters.get("c"), undefined);
  });

  test("an endpoint whose health or weight changes is the same endpoint", () => {
    const clusters = manager();
    clusters.update(plans(clusterConfig()), assigned(assignment([1])));
    const before = clusters.get("c")?.pick(facts());
    clusters.update(plans(clusterConfig()), assigned(assignment([endpointAt(1, { weight: 7 })])));
    assert.equal(clusters.get("c")?.pick(facts()), before);
    clusters.update(
      plans(clusterConfig()),
      assigned(assignment([endpointAt(1, { health: "unhealthy" })])),
    );
    assert.deepEqual(clusters.get("c")?.pick(facts()), {
      kind: "none",
      flag: "UH",
      details: "no_healthy_upstream",
    });
  });
});

describe("warming", () => {
  test("an EDS cluster is cold until its endpoints come, even if there are none", async () => {
    const clusters = manager();
    clusters.update(plans(clusterConfig()), new Map());
    assert.equal(clusters.isWarm("c"), false);
    assert.equal(clusters.get("c")?.pick(facts()).kind, "none");
    const warm = clusters.whenWarm(["c", "unknown"]);
    clusters.update(plans(clusterConfig()), assigned(assignment([])));
    await warm;
    assert.equal(clusters.isWarm("c"), true);
  });

  test("a cluster that goes is waited for by nobody", async () => {
    const clusters = manager();
    clusters.update(plans(clusterConfig()), new Map());
    const warm = clusters.whenWarm(["c"]);
    clusters.update(new Map(), new Map());
    await warm;
  });
});
