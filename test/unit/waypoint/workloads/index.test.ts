import assert from "node:assert/strict";
import { test } from "node:test";
import type { DownstreamInfo } from "../../../../src/waypoint/http/stream.ts";
import { PeerDemand } from "../../../../src/waypoint/workloads/demand.ts";
import { type IndexedWorkload, WorkloadTable } from "../../../../src/waypoint/workloads/index.ts";
import { sourcePeers } from "../../../../src/waypoint/workloads/source-peer.ts";
import { FakeClock } from "../../../support/clock.ts";

function workload(uid: string, init: Partial<IndexedWorkload> = {}): IndexedWorkload {
  return {
    uid,
    network: "",
    addresses: ["10.0.0.1"],
    hostNetwork: false,
    peer: {
      workload: uid,
      namespace: "shop",
      cluster: "Kubernetes",
      canonicalService: uid,
      canonicalRevision: "v1",
      type: "deployment",
      name: `${uid}-1`,
      trustDomain: "",
      serviceAccount: "default",
      region: "",
      zone: "",
    },
    ...init,
  };
}

test("an address names its workload until that is gone or has moved", () => {
  const table = new WorkloadTable("");
  table.set(workload("a", { addresses: ["10.0.0.1", "fd00::1"] }));
  assert.equal(table.byAddress("fd00::1")?.workload, "a");
  table.set(workload("a", { addresses: ["10.0.0.2"] }));
  assert.equal(table.byAddress("10.0.0.1"), undefined);
  assert.equal(table.byAddress("fd00::1"), undefined);
  assert.equal(table.byAddress("10.0.0.2")?.workload, "a");
  table.remove("a");
  table.remove("never there");
  assert.equal(table.size, 0);
});

test("of several at one address, our network's own comes before others and before the host's", () => {
  const table = new WorkloadTable("here");
  table.set(workload("far", { network: "there" }));
  table.set(workload("node", { network: "here", hostNetwork: true }));
  assert.equal(table.byAddress("10.0.0.1")?.workload, "node");
  table.set(workload("pod", { network: "here" }));
  assert.equal(table.byAddress("10.0.0.1")?.workload, "pod");
  table.remove("pod");
  table.remove("node");
  assert.equal(table.byAddress("10.0.0.1")?.workload, "far");
});

test("clients of another network are not looked up by their address", () => {
  const table = new WorkloadTable("here");
  table.set(workload("a", { network: "here" }));
  const peerOf = sourcePeers(table, "here");
  const from = (headers: DownstreamInfo["connectHeaders"]): DownstreamInfo => ({
    peerPrincipal: undefined,
    localPrincipal: undefined,
    source: { ip: "10.0.0.1", port: 1 },
    destination: { ip: "10.0.0.9", port: 80 },
    connectAuthority: "10.0.0.9:80",
    connectHeaders: headers,
    requestedServerName: undefined,
    connectionId: 1,
    startedWallMs: 0,
  });
  assert.equal(peerOf(from([]))?.workload, "a");
  assert.equal(peerOf(from([["x-forwarded-network", "here"]]))?.workload, "a");
  assert.equal(peerOf(from([["x-forwarded-network", "there"]])), undefined);
});

test("who is not known yet is waited for, but not for long, and asked for once", async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  const demand = new PeerDemand(
    clock,
    (ip) => `net/${ip}`,
    (key) => asked.push(key),
  );
  const first = demand.learn("10.0.0.1");
  assert.equal(demand.learn("10.0.0.1"), first);
  demand.answered(["net/10.0.0.1", "other"]);
  await first;
  assert.equal(demand.learn("10.0.0.1"), undefined);
  const second = demand.learn("10.0.0.2");
  await clock.advance(300);
  await second;
  assert.deepEqual(asked, ["net/10.0.0.1", "net/10.0.0.2"]);
  assert.equal(clock.pending, 0);
});
