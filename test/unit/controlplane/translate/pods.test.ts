import assert from "node:assert/strict";
import { test } from "node:test";
import { namespace, pod, service, translate, workloadOf } from "../../../support/translate.ts";

const nodes = `apiVersion: v1
kind: Node
metadata: { name: node1, labels: { topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z, topology.istio.io/subzone: s } }`;

test("a pod's place comes from its node", () => {
  const state = translate([nodes, pod("a"), pod("b", { spec: { nodeName: "unknown" } })]);
  assert.deepEqual(workloadOf(state, "a").locality, { region: "r", zone: "z", subzone: "s" });
  assert.deepEqual(workloadOf(state, "b").locality, { region: "", zone: "", subzone: "" });
});

test("pods without an address or at their end are no workloads; starting ones are", () => {
  const state = translate([
    pod("none", { status: { podIP: undefined } }),
    pod("done", { status: { phase: "Succeeded" } }),
    pod("failed", { status: { phase: "Failed" } }),
    pod("garbage", { status: { podIPs: [{ ip: "10.0.0.1" }, { ip: "x" }] } }),
    pod("pending", { status: { phase: "Pending", conditions: [] } }),
  ]);
  assert.deepEqual([...state.workloads.keys()], ["Kubernetes//Pod/shop/pending"]);
  assert.equal(workloadOf(state, "pending").status, "Unhealthy");
});

test("readiness: the Ready condition, and no deletion under way", () => {
  const state = translate([
    pod("ready"),
    pod("unready", { status: { conditions: [{ type: "Ready", status: "False" }] } }),
    pod("silent", { status: { conditions: [] } }),
    pod("leaving", { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }),
  ]);
  const status = (name: string) => workloadOf(state, name).status;
  assert.deepEqual(["ready", "unready", "silent", "leaving"].map(status), [
    "Healthy",
    "Unhealthy",
    "Unhealthy",
    "Unhealthy",
  ]);
});

test("both addresses of a dual-stack pod count", () => {
  const state = translate(
    pod("a", { status: { podIPs: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }] } }),
  );
  assert.deepEqual(workloadOf(state, "a").addresses, ["10.0.0.1", "fd00::1"]);
});

test("the tunnel: redirected, native, neither", () => {
  const state = translate([
    pod("redirected"),
    pod("plain", { annotations: {} }),
    pod("pending", { annotations: { "ambient.istio.io/redirection": "pending" } }),
    pod("native", { annotations: {}, labels: { "networking.istio.io/tunnel": "http" } }),
    pod("several", { annotations: {}, labels: { "networking.istio.io/tunnel": "mtls,http" } }),
  ]);
  const tunnel = (name: string) => [
    workloadOf(state, name).protocol,
    workloadOf(state, name).nativeTunnel,
  ];
  assert.deepEqual(tunnel("redirected"), ["HBONE", false]);
  assert.deepEqual(tunnel("plain"), ["TCP", false]);
  assert.deepEqual(tunnel("pending"), ["TCP", false]);
  assert.deepEqual(tunnel("native"), ["HBONE", true]);
  assert.deepEqual(tunnel("several"), ["HBONE", true]);
});

test("in file mode the node agent's word decides, and the rule alone while it has said nothing", () => {
  const annotations = { "ambit.dev/netns": "/run/netns/a" };
  const objects = [
    namespace("shop", { "istio.io/dataplane-mode": "ambient" }),
    pod("a", { annotations, metadata: { uid: "uid-a" } }),
    pod("b", { annotations }),
    pod("out", { annotations, labels: { "istio.io/dataplane-mode": "none" } }),
    pod("elsewhere", { annotations, spec: { nodeName: "node2" } }),
    pod("unnamed", { annotations: {} }),
  ];
  const protocols = (redirected: ReadonlyMap<string, ReadonlySet<string>>) => {
    const state = translate(objects, { redirected });
    return ["a", "b", "out", "elsewhere", "unnamed"].map(
      (name) => workloadOf(state, name).protocol,
    );
  };
  assert.deepEqual(protocols(new Map()), ["HBONE", "HBONE", "TCP", "HBONE", "TCP"]);
  assert.deepEqual(protocols(new Map([["node1", new Set<string>()]])), [
    "TCP",
    "TCP",
    "TCP",
    "HBONE",
    "TCP",
  ]);
  const some = new Map([["node1", new Set(["uid-a", "shop/b", "shop/out"])]]);
  assert.deepEqual(protocols(some), ["HBONE", "HBONE", "TCP", "HBONE", "TCP"]);
});

const owner = (kind: string, name: string) => [{ apiVersion: "v1", kind, name, controller: true }];
const names: readonly [string, Record<string, unknown>, Record<string, string>, string][] = [
  ["a pod of its own", {}, {}, "p"],
  ["a stated name", {}, { "service.istio.io/workload-name": "stated" }, "stated"],
  [
    "a Deployment",
    { generateName: "web-abc-", ownerReferences: owner("ReplicaSet", "web-abc") },
    { "pod-template-hash": "abc" },
    "web",
  ],
  [
    "a Rollout",
    { generateName: "web-abc-", ownerReferences: owner("ReplicaSet", "web-abc") },
    { "rollouts-pod-template-hash": "abc" },
    "web",
  ],
  [
    "a ReplicaSet alone",
    { generateName: "web-", ownerReferences: owner("ReplicaSet", "web") },
    {},
    "web",
  ],
  ["a StatefulSet", { generateName: "db-", ownerReferences: owner("StatefulSet", "db") }, {}, "db"],
  [
    "a CronJob",
    { generateName: "job-28000000-", ownerReferences: owner("Job", "job-28000000") },
    {},
    "job",
  ],
  ["a Job", { generateName: "job-", ownerReferences: owner("Job", "job-12") }, {}, "job-12"],
  [
    "a DeploymentConfig",
    { generateName: "x-", ownerReferences: owner("ReplicationController", "x-1") },
    { deploymentconfig: "x" },
    "x",
  ],
  ["an owner without a generated name", { ownerReferences: owner("StatefulSet", "db") }, {}, "p"],
];

for (const [what, metadata, labels, expected] of names)
  test(`workload name: ${what}`, () => {
    assert.equal(workloadOf(translate(pod("p", { metadata, labels })), "p").workloadName, expected);
  });

test("canonical name and revision: the first of their labels", () => {
  const of = (labels: Record<string, string>) => {
    const { canonicalName, canonicalRevision } = workloadOf(translate(pod("p", { labels })), "p");
    return `${canonicalName} ${canonicalRevision}`;
  };
  assert.equal(of({}), "p latest");
  assert.equal(of({ app: "a", version: "v1" }), "a v1");
  assert.equal(
    of({ app: "a", "app.kubernetes.io/name": "n", "app.kubernetes.io/version": "2", version: "1" }),
    "n 2",
  );
  assert.equal(
    of({
      app: "a",
      "service.istio.io/canonical-name": "c",
      "service.istio.io/canonical-revision": "r",
    }),
    "c r",
  );
});

test("named target ports are looked up in the pod, and left out where it has none", () => {
  const ports = (containers: unknown, initContainers: unknown = []) => {
    const spec = { containers, initContainers };
    const web = service("a", {
      spec: {
        ports: [
          { name: "h", port: 80, targetPort: "web" },
          { name: "m", port: 90, targetPort: 9 },
        ],
      },
    });
    return [...workloadOf(translate([web, pod("a", { spec })]), "a").services.values()][0];
  };
  const named = { name: "web", containerPort: 8080 };
  assert.deepEqual(ports([{ name: "c", ports: [named] }]), [
    [80, 8080],
    [90, 9],
  ]);
  assert.deepEqual(ports([{ name: "c", ports: [{ ...named, protocol: "UDP" }] }]), [[90, 9]]);
  assert.deepEqual(ports([], [{ name: "i", ports: [named] }]), [[90, 9]]);
  assert.deepEqual(ports([], [{ name: "i", restartPolicy: "Always", ports: [named] }]), [
    [80, 8080],
    [90, 9],
  ]);
});

test("one port number for TCP and UDP stays two ports", () => {
  const dns = service("a", {
    spec: {
      ports: [
        { name: "t", port: 53 },
        { name: "u", port: 53, protocol: "UDP" },
      ],
    },
  });
  const [ports] = [...workloadOf(translate([dns, pod("a")]), "a").services.values()];
  assert.deepEqual(ports, [
    [53, 53],
    [53, 53],
  ]);
});

test("a selector must match as a whole, within the namespace, and an empty one matches nothing", () => {
  const state = translate([
    service("both", { spec: { selector: { app: "a", tier: "x" } } }),
    service("one", { spec: { selector: { app: "a" } } }),
    service("none", { spec: { selector: {} } }),
    service("other", { namespace: "other", spec: { selector: { app: "a" } } }),
    pod("a"),
  ]);
  assert.deepEqual(
    [...workloadOf(state, "a").services.keys()],
    ["shop/one.shop.svc.cluster.local"],
  );
});
