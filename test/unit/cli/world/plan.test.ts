import assert from "node:assert/strict";
import { test } from "node:test";
import { shop } from "../../../../src/cli/demo/shop.ts";
import { planWorld, serviceRules } from "../../../../src/cli/world/plan.ts";
import {
  layOut,
  type PodSpec,
  podOf,
  type TopologySpec,
} from "../../../../src/cli/world/topology.ts";

const pod: PodSpec = {
  name: "a",
  namespace: "n",
  app: "a",
  version: "v1",
  serviceAccount: "a",
  node: "node1",
  ports: { http: 8080 },
};
const spec: TopologySpec = { nodes: ["node1"], pods: [pod], services: [] };

test("addresses follow from the order of nodes and pods", () => {
  const topology = layOut(shop);
  assert.deepEqual(
    topology.nodes.map(({ ip }) => ip),
    ["172.30.0.11", "172.30.0.12"],
  );
  assert.equal(podOf(topology, "web").ip, "10.10.1.10");
  assert.equal(podOf(topology, "web").ip6, "fd10:0:0:1::a");
  assert.equal(podOf(topology, "catalog-v2").ip, "10.10.2.10");
  const uids = new Set(topology.pods.map(({ uid }) => uid));
  assert.equal(uids.size, topology.pods.length);
});

test("a topology that cannot exist is refused with the reason", () => {
  assert.throws(() => layOut({ ...spec, pods: [{ ...pod, node: "elsewhere" }] }), /names no node/);
  assert.throws(() => layOut({ ...spec, pods: [pod, pod] }), /stands twice/);
  assert.throws(() => layOut({ ...spec, pods: [{ ...pod, name: "a".repeat(13) }] }), /too long/);
});

test("every namespace is created before it is linked and set up after", () => {
  const plan = planWorld(layOut(shop));
  const lastAdd = plan.create.findLastIndex((line) => line.startsWith("netns add"));
  const firstLink = plan.create.findIndex((line) => line.startsWith("link add"));
  assert.ok(lastAdd < firstLink);
  const added = plan.create.flatMap((line) => /^netns add (.+)$/.exec(line)?.[1] ?? []);
  const setUp = plan.setups.flatMap(({ namespace }) => namespace ?? []);
  assert.deepEqual(setUp.sort(), added.sort());
});

test("a service becomes one rule a port, over the pods that back it", () => {
  const rules = serviceRules(layOut(shop));
  assert.match(
    rules,
    /ip daddr 10\.96\.0\.11 tcp dport 80 dnat ip addr \. port to numgen random mod 2 map \{ 0 : 10\.10\.1\.12 \. 8080, 1 : 10\.10\.2\.10 \. 8080 \}/,
  );
  assert.equal(serviceRules(layOut(spec)), "");
});

test("a service without pods gets no rule", () => {
  const lonely = {
    name: "s",
    namespace: "n",
    clusterIp: "10.96.0.1",
    app: "nobody",
    ports: [{ name: "p", port: 1, targetPort: 2 }],
  };
  assert.equal(serviceRules(layOut({ ...spec, services: [lonely] })), "");
});
