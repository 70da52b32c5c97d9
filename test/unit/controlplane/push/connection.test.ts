import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Connection } from "../../../../src/controlplane/push/connection.ts";
import { ResourceLookup } from "../../../../src/controlplane/push/lookup.ts";
import { difference, emptySnapshot } from "../../../../src/controlplane/push/snapshot.ts";
import {
  addressType,
  authorizationType,
  clusterType,
  endpointType,
  listenerType,
  type PushResource,
  type PushSnapshot,
  type SnapshotChange,
  type WaypointResources,
  workloadType,
} from "../../../../src/controlplane/push/types.ts";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from "../../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";

const node = {
  id: "ztunnel~1.1.1.1~z.istio-system~x",
  kind: "ztunnel",
  namespace: "istio-system",
  nodeName: "n1",
  serviceAccount: "",
} as const;
const none = { upserted: [], removed: [] };

function resource(name: string, version: string): PushResource {
  return { name, version, bytes: new Uint8Array([1]), aliases: [], services: [], node: "" };
}

/** A stream that takes a message only when the test says so. */
function scene() {
  const sent: DeltaDiscoveryResponse[] = [];
  const waiting: (() => void)[] = [];
  const nacks: string[] = [];
  let snapshot: PushSnapshot = emptySnapshot;
  const view = () => ({
    snapshot,
    lookup: (type: keyof PushSnapshot["tables"]) => new ResourceLookup(snapshot.tables[type]),
  });
  const connection = new Connection(node, view(), {
    send: (response, written) => {
      sent.push(response);
      waiting.push(written);
    },
    pushed: () => undefined,
    nacked: (_type, message) => nacks.push(message),
    ignoredType: (type) => nacks.push(`ignored ${type}`),
  });
  return {
    connection,
    sent,
    nacks,
    drain: () => waiting.shift()?.(),
    request: (fields: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]) =>
      connection.receive(create(DeltaDiscoveryRequestSchema, fields)),
    advance: (resources: readonly PushResource[]) => {
      const byName = new Map(snapshot.tables[addressType].byName);
      for (const item of resources) byName.set(item.name, item);
      snapshot = {
        revision: snapshot.revision + 1,
        tables: { ...snapshot.tables, [addressType]: { byName } },
      };
      const change: SnapshotChange = {
        [addressType]: { upserted: resources, removed: [] },
        [workloadType]: none,
        [authorizationType]: none,
      };
      connection.advance(view(), change);
    },
    report: () => connection.report()[0],
  };
}

test("while one message is under way nothing else is made; then one with the newest state of all", () => {
  const { sent, drain, request, advance, report } = scene();
  request({ typeUrl: addressType });
  assert.equal(sent.length, 1);
  for (let i = 0; i < 1000; i++)
    advance([resource("a", String(i)), resource(`b${i % 10}`, String(i))]);
  assert.equal(sent.length, 1);
  assert.equal(report()?.waitingNames, 11, "bounded by names, not by changes");
  drain();
  assert.equal(sent.length, 2);
  assert.equal(sent[1]?.resources.length, 11);
  assert.equal(sent[1]?.resources.find(({ name }) => name === "a")?.version, "999");
  drain();
  assert.equal(sent.length, 2);
});

test("acknowledgements count for the newest response only", () => {
  const { sent, drain, request, advance, report } = scene();
  request({ typeUrl: addressType });
  drain();
  advance([resource("a", "1")]);
  drain();
  const [first, second] = sent;
  request({ typeUrl: addressType, responseNonce: first?.nonce ?? "" });
  assert.equal(report()?.synced, false);
  request({ typeUrl: addressType, responseNonce: second?.nonce ?? "" });
  assert.deepEqual([report()?.synced, report()?.ackedNonce], [true, second?.nonce]);
});

test("a rejection is recorded and not answered", () => {
  const { sent, drain, request, nacks, report } = scene();
  request({ typeUrl: addressType });
  drain();
  request({
    typeUrl: addressType,
    responseNonce: sent[0]?.nonce ?? "",
    errorDetail: { code: 0, message: "a: bad" },
  });
  assert.deepEqual(
    [sent.length, nacks, report()?.nacks, report()?.lastNack?.message],
    [1, ["a: bad"], 1, "a: bad"],
  );
});

test("an answer that also subscribes does both", () => {
  const { sent, drain, request, advance, report } = scene();
  advance([resource("a", "1")]);
  request({ typeUrl: addressType, resourceNamesSubscribe: ["*"], resourceNamesUnsubscribe: ["*"] });
  drain();
  request({
    typeUrl: addressType,
    responseNonce: sent[0]?.nonce ?? "",
    resourceNamesSubscribe: ["a"],
  });
  assert.deepEqual(
    sent[1]?.resources.map(({ name }) => name),
    ["a"],
  );
  assert.equal(report()?.ackedNonce, sent[0]?.nonce);
});

test("an unknown type is passed over", () => {
  const { sent, request, nacks } = scene();
  request({ typeUrl: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration" });
  assert.deepEqual([sent, nacks.length], [[], 1]);
});

/** A waypoint's stream, and what it is told. */
function waypointScene() {
  const sent: DeltaDiscoveryResponse[] = [];
  const tableOf = (resources: readonly PushResource[]) => ({
    byName: new Map(resources.map((one) => [one.name, one])),
  });
  const own = (
    clusters: readonly PushResource[],
    endpoints: readonly PushResource[],
    before?: WaypointResources,
  ): WaypointResources => {
    const tables = {
      [clusterType]: tableOf(clusters),
      [endpointType]: tableOf(endpoints),
      [listenerType]: tableOf([]),
    };
    const empty = {
      [clusterType]: tableOf([]),
      [endpointType]: tableOf([]),
      [listenerType]: tableOf([]),
    };
    const from = before?.tables ?? empty;
    const change = {
      [clusterType]: difference(from[clusterType], tables[clusterType]),
      [endpointType]: difference(from[endpointType], tables[endpointType]),
      [listenerType]: none,
    };
    return { tables, change, before: from };
  };
  const view = { snapshot: emptySnapshot, lookup: () => new ResourceLookup({ byName: new Map() }) };
  const unchanged = { [addressType]: none, [workloadType]: none, [authorizationType]: none };
  const first = own([resource("a", "1")], [resource("a", "1")]);
  const connection = new Connection(
    { ...node, kind: "waypoint" },
    view,
    {
      send: (response, written) => {
        sent.push(response);
        written();
      },
      pushed: () => undefined,
      nacked: () => undefined,
      ignoredType: () => undefined,
    },
    first,
  );
  return {
    own,
    first,
    advance: (next: WaypointResources) => connection.advance(view, unchanged, next),
    request: (fields: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]) =>
      connection.receive(create(DeltaDiscoveryRequestSchema, fields)),
    told: () =>
      sent
        .splice(0)
        .map(({ typeUrl, resources, removedResources }) => [
          typeUrl.slice(typeUrl.lastIndexOf(".") + 1),
          resources.map(({ name }) => name),
          removedResources,
        ]),
  };
}

test("a changed cluster is followed by its endpoints, though they are the same", () => {
  const { own, first, advance, request, told } = waypointScene();
  request({ typeUrl: clusterType });
  request({ typeUrl: endpointType, resourceNamesSubscribe: ["a"] });
  assert.deepEqual(told(), [
    ["Cluster", ["a"], []],
    ["ClusterLoadAssignment", ["a"], []],
  ]);
  const [endpoints] = first.tables[endpointType].byName.values();
  assert.ok(endpoints !== undefined);
  advance(own([resource("a", "2")], [endpoints], first));
  assert.deepEqual(told(), [
    ["Cluster", ["a"], []],
    ["ClusterLoadAssignment", ["a"], []],
  ]);
});

test("a client that comes back is told all its endpoints again, and only clusters that changed", () => {
  const { request, told } = waypointScene();
  request({ typeUrl: clusterType, initialResourceVersions: { a: "1", gone: "1" } });
  request({
    typeUrl: endpointType,
    resourceNamesSubscribe: ["a"],
    initialResourceVersions: { a: "1" },
  });
  assert.deepEqual(told(), [
    ["Cluster", [], ["gone"]],
    ["ClusterLoadAssignment", ["a"], []],
  ]);
});

test("a waypoint that became another one is told what went", () => {
  const { own, advance, request, told } = waypointScene();
  request({ typeUrl: clusterType });
  told();
  // Its view was never made before, so that everything in it counts as new.
  advance(own([resource("b", "1")], []));
  assert.deepEqual(told(), [["Cluster", ["b"], ["a"]]]);
});
