import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clusterType, endpointsType, listenerType } from "../../../../src/waypoint/xds/types.ts";
import { clustersOf } from "../../../../src/waypoint/xds/warming.ts";
import {
  catalogRig,
  clusters,
  endpoints,
  listeners,
  namedListener,
  type Rig,
  response,
} from "./rig.ts";

function namedInForce({ state }: Rig): string {
  return [...clustersOf(state.current.main?.chains.values() ?? [])].sort().join(",");
}

function port({ state }: Rig): number | undefined {
  return state.current.terminate?.addresses[0]?.port;
}

function ready(): Rig {
  const rig = catalogRig();
  rig.catalog.applyClusters(clusters("a", "b"));
  rig.catalog.applyEndpoints(endpoints("a", "b"));
  rig.catalog.applyListeners(listeners("a,b"));
  return rig;
}

describe("order", () => {
  test("the first listeners take effect when the endpoints of all their clusters are there", () => {
    const rig = catalogRig();
    rig.catalog.applyClusters(clusters("a", "b", "c!"));
    assert.deepEqual([...rig.catalog.endpointNames()], ["a", "b"]);
    rig.catalog.applyListeners(listeners("a,b,c,nowhere"));
    assert.deepEqual(rig.catalog.cold(), ["a", "b"]);
    assert.equal(rig.state.current.main, undefined);
    assert.equal(port(rig), undefined);
    rig.catalog.applyEndpoints(endpoints("a"));
    assert.equal(rig.state.current.main, undefined);
    rig.catalog.applyEndpoints(endpoints("b"));
    assert.equal(namedInForce(rig), "a,b,c,nowhere");
    assert.equal(port(rig), 15008);
  });

  test("a listener waits for a new cluster and the old one serves meanwhile", () => {
    const rig = ready();
    rig.catalog.applyClusters(clusters("new"));
    rig.catalog.applyListeners(listeners("a,new"));
    assert.equal(namedInForce(rig), "a,b");
    rig.catalog.applyEndpoints(endpoints("new"));
    assert.equal(namedInForce(rig), "a,new");
  });

  test("nothing waits longer than the deadline, and the log says what was missing", async () => {
    const rig = ready();
    rig.catalog.applyClusters(clusters("new"));
    rig.catalog.applyListeners(listeners("a,new"));
    await rig.clock.advance(14_999);
    assert.equal(namedInForce(rig), "a,b");
    await rig.clock.advance(1);
    assert.equal(namedInForce(rig), "a,new");
    assert.match(rig.log.join(""), /without the endpoints of all its clusters.*new/);
    // What was waited for once is not waited for again.
    rig.catalog.applyListeners(listeners("a,b,new"));
    assert.equal(namedInForce(rig), "a,b,new");
    assert.equal(rig.clock.pending, 0);
  });

  test("a listener waits until names are resolved, and what filters ask is waited for and kept too", async () => {
    const rig = ready();
    rig.catalog.applyClusters(clusters("dns!", "asked"));
    rig.catalog.applyListeners(listeners("a,dns;asked"));
    assert.deepEqual(rig.catalog.cold(), ["asked", "dns"]);
    rig.catalog.applyEndpoints(endpoints("asked"));
    assert.equal(namedInForce(rig), "a,b");
    await rig.resolve("dns");
    assert.equal(namedInForce(rig), "a,asked,dns");
    rig.catalog.applyClusters(response(clusterType, { removed: ["asked"] }));
    assert.equal(rig.live().clusters.includes("asked#"), true);
    rig.catalog.applyListeners(listeners("a,dns"));
    assert.equal(rig.live().clusters.includes("asked#"), false);
    assert.equal(rig.clock.pending, 0);
  });

  test("a name that is not resolved holds nothing up beyond the deadline", async () => {
    const rig = ready();
    rig.catalog.applyClusters(clusters("dns!"));
    rig.catalog.applyListeners(listeners("a,dns"));
    await rig.clock.advance(15_000);
    assert.equal(namedInForce(rig), "a,dns");
    await rig.resolve("dns");
    assert.equal(namedInForce(rig), "a,dns");
    assert.equal(rig.clock.pending, 0);
  });

  test("a removed cluster stays until no listener in force points at it", () => {
    const rig = ready();
    rig.catalog.applyClusters(response(clusterType, { removed: ["b"] }));
    assert.deepEqual(rig.live(), { clusters: ["a#", "b#"], endpoints: ["a", "b"] });
    assert.deepEqual([...rig.catalog.endpointNames()], ["a"]);
    rig.catalog.applyListeners(listeners("a"));
    assert.deepEqual(rig.live().clusters, ["a#"]);
    assert.equal(rig.clock.pending, 0);
  });

  test("a removed cluster to which a listener still points goes at the deadline", async () => {
    const rig = ready();
    rig.catalog.applyClusters(response(clusterType, { removed: ["b"] }));
    await rig.clock.advance(15_000);
    assert.deepEqual(rig.live().clusters, ["a#"]);
    assert.equal(rig.clock.pending, 0);
  });

  test("a cluster that comes back is the new one", () => {
    const rig = ready();
    rig.catalog.applyClusters(response(clusterType, { removed: ["b"] }));
    rig.catalog.applyClusters(clusters("b#again"));
    assert.deepEqual(rig.live().clusters, ["a#", "b#again"]);
    assert.equal(rig.clock.pending, 0);
  });

  test("endpoints of clusters that are gone are forgotten", () => {
    const rig = ready();
    rig.catalog.applyListeners(listeners("a"));
    rig.catalog.applyClusters(response(clusterType, { removed: ["b"] }));
    assert.deepEqual(rig.live(), { clusters: ["a#"], endpoints: ["a"] });
    assert.equal(rig.catalog.books.endpoints.accepted.has("b"), false);
  });
});

describe("refusals", () => {
  test("one bad cluster does not keep the others out, and its last good form stays", () => {
    const rig = ready();
    assert.deepEqual(rig.catalog.applyClusters(clusters("a#bad", "b#v2")), [
      { name: "a", reason: "lb_policy: is not supported" },
    ]);
    assert.deepEqual(rig.live().clusters, ["a#", "b#v2"]);
    const refused = rig.catalog.books.clusters.refused.get("a");
    assert.equal(refused?.reason, "lb_policy: is not supported");
    assert.equal(rig.catalog.books.clusters.accepted.has("a"), true);
    assert.deepEqual(rig.catalog.applyClusters(clusters("a#good")), []);
    assert.equal(rig.catalog.books.clusters.refused.size, 0);
  });

  test("a bad main_internal leaves the one in force, with its very chains", () => {
    const rig = ready();
    const before = rig.state.current.main;
    assert.deepEqual(
      rig.catalog.applyListeners(listeners("bad", 15009)).map(({ name }) => name),
      ["main_internal"],
    );
    assert.equal(rig.state.current.main, before);
    assert.equal(port(rig), 15009);
  });

  test("octets that are no message, a wrong type and an unknown listener are refused by name", () => {
    const rig = ready();
    const broken = { name: "x", resource: { typeUrl: clusterType, value: Uint8Array.of(0xff) } };
    const other = { name: "y", resource: { typeUrl: endpointsType, value: new Uint8Array() } };
    const problems = rig.catalog.applyClusters(
      response(clusterType, { resources: [broken, other] }),
    );
    assert.deepEqual(
      problems.map(({ name }) => name),
      ["x", "y"],
    );
    assert.match(problems[1]?.reason ?? "", /is .*ClusterLoadAssignment, expected .*Cluster/);
    assert.deepEqual(rig.catalog.applyListeners(namedListener("forward_inner_connect")), [
      {
        name: "forward_inner_connect",
        reason: "name: a listener forward_inner_connect is not supported",
      },
    ]);
  });

  test("hard-wired hops and read-past fields are accepted and listed", () => {
    const rig = ready();
    assert.deepEqual(rig.catalog.applyListeners(namedListener("inner_connect_originate")), []);
    rig.catalog.applyClusters(clusters("a#odd"));
    const { books } = rig.catalog;
    assert.deepEqual(books.clusters.accepted.get("a")?.decorations, [
      "alt_stat_name: names statistics",
    ]);
    assert.deepEqual(books.listeners.accepted.get("inner_connect_originate")?.decorations, [
      "inner_connect_originate: the way out through HBONE is built in",
    ]);
  });

  test("a refusal that a new stream does not repeat is forgotten", () => {
    const rig = ready();
    rig.catalog.applyClusters(clusters("a#bad"));
    rig.catalog.streamStarted();
    assert.equal(rig.catalog.books.clusters.refused.size, 0);
  });
});

test("what comes again unchanged is not compiled again", () => {
  const rig = ready();
  const before = rig.state.current.main;
  rig.catalog.applyListeners(listeners("a,b"));
  assert.equal(rig.state.current.main, before);
});

test("listeners that go away take their chains and sockets with them", () => {
  const rig = ready();
  rig.catalog.applyListeners(
    response(listenerType, { removed: ["main_internal", "connect_terminate"] }),
  );
  assert.equal(rig.state.current.main, undefined);
  assert.equal(rig.state.current.terminate, undefined);
});
