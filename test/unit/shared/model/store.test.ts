import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MeshChange } from "../../../../src/shared/model/mesh-update.ts";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import type { Service, Workload } from "../../../../src/shared/model/workload.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { makePolicy, makeService, makeWorkload } from "../../../support/mesh-builders.ts";

function storeOf(...records: readonly (Workload | Service)[]): MeshStore {
  const store = new MeshStore({ localNode: "node1" });
  store.apply({ addresses: records.map(addressOf) });
  return store;
}

function addressOf(
  record: Workload | Service,
): Parameters<MeshStore["apply"]>[0]["addresses"] extends readonly (infer A)[] | undefined
  ? A
  : never {
  return "uid" in record
    ? { kind: "workload", workload: record }
    : { kind: "service", service: record };
}

function endpointUids(store: MeshStore, key: `${string}/${string}`): string[] {
  return [...store.allEndpoints(key)].map((endpoint) => endpoint.workload.name).sort();
}

const web = "shop/web.shop.svc.cluster.local";

describe("workloads", () => {
  test("are found by uid, address, hostname and name", () => {
    const workload = makeWorkload("a", { ips: ["10.0.0.1", "fd00::1"], hostname: "a.example" });
    const store = storeOf(workload);
    assert.equal(store.workloadByUid(workload.uid), workload);
    assert.equal(store.workloadByAddress("", ipOf("10.0.0.1")), workload);
    assert.equal(store.workloadByAddress("", ipOf("fd00::1")), workload);
    assert.equal(store.workloadByAddress("other", ipOf("10.0.0.1")), undefined);
    assert.equal(store.workloadByHostname("shop", "A.example"), workload);
    const pod = { name: "a", namespace: "shop", serviceAccount: "a" };
    assert.equal(store.localWorkload(pod), workload);
    assert.equal(store.localWorkload({ ...pod, serviceAccount: "b" }), undefined);
  });

  test("of another node are not local, unless this node has no name", () => {
    const workload = makeWorkload("a", { node: "node2" });
    const pod = { name: "a", namespace: "shop", serviceAccount: "a" };
    assert.equal(storeOf(workload).localWorkload(pod), undefined);
    const anywhere = new MeshStore();
    anywhere.apply({ addresses: [{ kind: "workload", workload }] });
    assert.equal(anywhere.localWorkload(pod), workload);
  });

  test("on the host network are not found by address", () => {
    const store = storeOf(makeWorkload("a", { ips: ["10.0.0.1"], networkMode: "HostNetwork" }));
    assert.equal(store.workloadByAddress("", ipOf("10.0.0.1")), undefined);
  });

  const claims: readonly [string, Workload][] = [
    [
      "an entry outside the mesh",
      makeWorkload("a", { uid: "e/1", protocol: "TCP", ips: ["1.1.1.1"] }),
    ],
    ["a meshed entry", makeWorkload("b", { uid: "e/2", ips: ["1.1.1.1"] })],
    ["a pod outside the mesh", makeWorkload("c", { protocol: "TCP", ips: ["1.1.1.1"] })],
    ["a meshed pod", makeWorkload("d", { ips: ["1.1.1.1"] })],
  ];
  for (const [i, [weakName, weak]] of claims.entries()) {
    for (const [strongName, strong] of claims.slice(i + 1)) {
      test(`an address claimed by ${weakName} and ${strongName} belongs to the latter`, () => {
        for (const order of [
          [weak, strong],
          [strong, weak],
        ]) {
          const store = storeOf(...order);
          assert.equal(store.workloadByAddress("", ipOf("1.1.1.1")), strong);
          store.apply({ removedAddresses: [strong.uid] });
          assert.equal(store.workloadByAddress("", ipOf("1.1.1.1")), weak);
        }
      });
    }
  }

  test("that move take their addresses and endpoints with them", () => {
    const store = storeOf(
      makeWorkload("a", { ips: ["10.0.0.1"], behind: { [web]: { 80: 8080 } } }),
      makeService("web"),
    );
    store.apply({
      addresses: [{ kind: "workload", workload: makeWorkload("a", { ips: ["10.0.0.2"] }) }],
    });
    assert.equal(store.workloadByAddress("", ipOf("10.0.0.1")), undefined);
    assert.equal(store.workloadByAddress("", ipOf("10.0.0.2"))?.name, "a");
    assert.deepEqual(endpointUids(store, web), []);
  });
});

describe("endpoints", () => {
  const a = makeWorkload("a", { behind: { [web]: { 80: 8080 } } });

  test("arrive before or after their service, in one batch or several", () => {
    const service = makeService("web");
    for (const order of [
      [a, service],
      [service, a],
    ]) {
      assert.deepEqual(endpointUids(storeOf(...order), web), ["a"]);
      const store = new MeshStore();
      for (const record of order) store.apply({ addresses: [addressOf(record)] });
      assert.deepEqual(endpointUids(store, web), ["a"]);
    }
  });

  test("are staged while the service is unknown, and no longer when the workload is gone", () => {
    const store = storeOf(a);
    assert.deepEqual(store.stagedServices(), [web]);
    store.apply({ removedAddresses: [a.uid] });
    assert.deepEqual(store.stagedServices(), []);
  });

  test("survive a new version of the service and its removal and return", () => {
    const store = storeOf(a, makeService("web"));
    store.apply({ addresses: [addressOf(makeService("web", { ports: { 81: 1 } }))] });
    assert.deepEqual(endpointUids(store, web), ["a"]);
    store.apply({ removedAddresses: [web] });
    assert.equal(store.service(web), undefined);
    store.apply({ addresses: [addressOf(makeService("web"))] });
    assert.deepEqual(endpointUids(store, web), ["a"]);
    assert.equal(store.endpoint(web, a.uid)?.ports.get(80), 8080);
  });
});

describe("services that share an address", () => {
  const vip = "10.96.0.1";
  const of = (namespace: string, spec: Parameters<typeof makeService>[1] = {}): Service =>
    makeService("s", { namespace, at: [vip], ...spec });
  const find = (services: Service[], clientNamespace?: string): string | undefined =>
    storeOf(...services).serviceByVip("", ipOf(vip), { clientNamespace })?.namespace;

  const cases: readonly [string, Service[], string | undefined, string | undefined][] = [
    ["the client's namespace wins", [of("a"), of("b"), of("c")], "b", "b"],
    ["then the canonical one", [of("a", { canonical: false }), of("b")], "x", "b"],
    ["the client's namespace beats canonical", [of("a", { canonical: false }), of("b")], "a", "a"],
    [
      "a private one is not seen from outside",
      [of("a", { visibility: "Namespace" })],
      "b",
      undefined,
    ],
    ["a private one is seen from inside", [of("a", { visibility: "Namespace" })], "a", "a"],
    ["without a namespace all are seen", [of("a", { visibility: "Namespace" })], undefined, "a"],
    [
      "a private canonical one gives way",
      [of("a", { visibility: "Namespace" }), of("b", { canonical: false })],
      "c",
      "b",
    ],
  ];
  for (const [name, services, client, expected] of cases) {
    test(name, () => {
      assert.equal(find(services, client), expected);
      assert.equal(find(services.toReversed(), client), expected);
    });
  }

  test("other networks do not see it", () => {
    const store = storeOf(makeService("s", { at: ["n1/10.96.0.1"] }));
    assert.equal(store.serviceByVip("", ipOf(vip)), undefined);
    assert.equal(store.serviceByVip("n1", ipOf(vip))?.name, "s");
  });

  test("of removed ones nothing is left", () => {
    const store = storeOf(of("a"), of("b"));
    store.apply({ removedAddresses: ["a/s.a.svc.cluster.local"] });
    assert.equal(store.serviceByVip("", ipOf(vip))?.namespace, "b");
    store.apply({ removedAddresses: ["b/s.b.svc.cluster.local"] });
    assert.equal(store.serviceByVip("", ipOf(vip)), undefined);
  });
});

describe("prefix addresses", () => {
  const range = (name: string, at: string, spec: Parameters<typeof makeService>[1] = {}): Service =>
    makeService(name, { at: [at], ...spec });
  const cases: readonly [string, Service[], string, string | undefined, string | undefined][] = [
    [
      "the longest wins",
      [range("a", "/10.0.0.0/8"), range("b", "/10.1.0.0/16")],
      "10.1.2.3",
      "x",
      "b",
    ],
    [
      "shorter where the longer ends",
      [range("a", "/10.0.0.0/8"), range("b", "/10.1.0.0/16")],
      "10.2.2.3",
      "x",
      "a",
    ],
    ["odd lengths", [range("a", "/10.64.0.0/10")], "10.127.255.255", "x", "a"],
    ["odd lengths end", [range("a", "/10.64.0.0/10")], "10.128.0.0", "x", undefined],
    ["everything", [range("a", "/0.0.0.0/0")], "203.0.113.9", "x", "a"],
    ["families are apart", [range("a", "/0.0.0.0/0")], "2001:db8::1", "x", undefined],
    [
      "IPv6",
      [range("a", "/2001:db8::/32"), range("b", "/2001:db8:1::/48")],
      "2001:db8:1::5",
      "x",
      "b",
    ],
    [
      "the namespace beats the length",
      [range("a", "/10.0.0.0/8", { namespace: "mine" }), range("b", "/10.1.0.0/16")],
      "10.1.0.1",
      "mine",
      "a",
    ],
    [
      "canonical decides between equal lengths",
      [
        range("a", "/10.0.0.0/8", { canonical: false }),
        range("b", "/10.0.0.0/8", { namespace: "z" }),
      ],
      "10.1.0.1",
      "x",
      "b",
    ],
    [
      "invisible ones are passed over",
      [range("a", "/10.0.0.0/8"), range("b", "/10.1.0.0/16", { visibility: "Namespace" })],
      "10.1.0.1",
      "x",
      "a",
    ],
    [
      "exact beats prefix",
      [range("a", "/10.0.0.0/30"), makeService("b", { at: ["10.0.0.1"] })],
      "10.0.0.1",
      "x",
      "b",
    ],
    [
      "an exact one that is invisible does not hide the prefix",
      [range("a", "/10.0.0.0/8"), makeService("b", { at: ["10.0.0.1"], visibility: "Namespace" })],
      "10.0.0.1",
      "x",
      "a",
    ],
  ];
  for (const [name, services, ip, client, expected] of cases) {
    test(name, () => {
      const find = (list: Service[]): string | undefined =>
        storeOf(...list).serviceByVip("", ipOf(ip), { clientNamespace: client })?.name;
      assert.equal(find(services), expected);
      assert.equal(find(services.toReversed()), expected);
    });
  }

  test("go with their service", () => {
    const store = storeOf(range("a", "/10.0.0.0/8"));
    store.apply({ removedAddresses: ["shop/a.shop.svc.cluster.local"] });
    assert.equal(store.serviceByVip("", ipOf("10.0.0.1")), undefined);
  });
});

test("a hostname in several namespaces: the client's, canonical, preferred, the rest", () => {
  const of = (namespace: string, canonical: boolean): Service =>
    makeService("s", { namespace, canonical, hostname: "api.example" });
  const store = storeOf(of("a", false), of("b", false), of("c", true));
  const find = (clientNamespace: string, preferredNamespace?: string): string | undefined =>
    store.serviceByHostname("API.example", { clientNamespace, preferredNamespace })?.namespace;
  assert.equal(find("b"), "b");
  assert.equal(find("x", "b"), "c");
  store.apply({ removedAddresses: ["c/api.example"] });
  assert.equal(find("x", "b"), "b");
  assert.equal(find("x"), "a");
  assert.deepEqual(
    store.servicesByHostname("api.example").map((service) => service.namespace),
    ["a", "b"],
  );
});

describe("policies of a workload", () => {
  const target = { namespace: "shop", authorizationPolicies: ["other/listed", "shop/late"] };

  test("are its namespace's, the global ones and those it lists", () => {
    const store = new MeshStore();
    store.apply({
      policies: [
        makePolicy("ns"),
        makePolicy("elsewhere", { namespace: "other" }),
        makePolicy("all", { namespace: "root", scope: "Global" }),
        makePolicy("listed", { namespace: "other", scope: "WorkloadSelector" }),
        makePolicy("unlisted", { scope: "WorkloadSelector" }),
      ],
    });
    const found = store.policiesFor(target);
    assert.deepEqual(
      found.policies.map((policy) => `${policy.namespace}/${policy.name}`),
      ["other/listed", "root/all", "shop/ns"],
    );
    assert.deepEqual(found.unknown, ["shop/late"]);
    assert.equal(store.policiesFor(target), found, "the answer is kept until something changes");
    store.apply({ policies: [makePolicy("p", { namespace: "far" })] });
    assert.equal(store.policiesFor(target), found, "a policy that does not concern it");
    assert.equal(store.policiesFor({ ...target }), found, "shared by those who ask the same");
    store.apply({ policies: [makePolicy("late", { scope: "WorkloadSelector" })] });
    assert.equal(store.policiesFor(target).policies.length, 4);
    assert.deepEqual(store.policiesFor(target).unknown, []);
  });

  test("follow a change of scope and removal", () => {
    const store = new MeshStore();
    const other = { namespace: "elsewhere", authorizationPolicies: [] };
    store.apply({ policies: [makePolicy("p")] });
    assert.equal(store.policiesFor(other).policies.length, 0);
    store.apply({ policies: [makePolicy("p", { scope: "Global" })] });
    assert.equal(store.policiesFor(other).policies.length, 1);
    store.apply({ policies: [makePolicy("p", { scope: "WorkloadSelector" })] });
    assert.equal(store.policiesFor(target).policies.length, 0);
    store.apply({ removedPolicies: ["shop/p"] });
    assert.equal(store.policy("shop/p"), undefined);
  });

  test("that were refused apply in their scope until corrected; an older version stays in force", () => {
    const store = new MeshStore();
    const refused = { namespace: "shop", name: "p", scope: "Namespace", reason: "x" } as const;
    store.apply({ refusedPolicies: [refused] });
    assert.deepEqual(store.policiesFor(target).refused, [refused]);
    store.apply({ policies: [makePolicy("p")] });
    assert.deepEqual(store.policiesFor(target).refused, []);
    store.apply({ refusedPolicies: [refused] });
    assert.deepEqual(store.policiesFor(target).refused, []);
    assert.equal(store.policiesFor(target).policies.length, 1);
    store.apply({ removedPolicies: ["shop/p"] });
    assert.equal(store.policiesFor(target).policies.length, 0);
    const nameOnly = { namespace: "shop", name: "late", scope: undefined, reason: "x" } as const;
    store.apply({ refusedPolicies: [nameOnly] });
    assert.deepEqual(store.policiesFor(target).refused, [nameOnly]);
    assert.deepEqual(
      store.policiesFor({ namespace: "shop", authorizationPolicies: [] }).refused,
      [],
    );
  });
});

describe("notifications", () => {
  test("come once a batch, after all of it took effect, and name what changed", () => {
    const store = new MeshStore({ localNode: "node1" });
    const seen: MeshChange[] = [];
    const stop = store.subscribe((change) => {
      assert.equal(store.workloadByUid("Kubernetes//Pod/shop/a")?.name, "a");
      seen.push(change);
    });
    store.apply({
      addresses: [addressOf(makeWorkload("a")), addressOf(makeService("web"))],
      policies: [makePolicy("p")],
      removedAddresses: ["unknown"],
    });
    assert.equal(seen.length, 1);
    assert.deepEqual([...(seen[0]?.workloads ?? [])], ["Kubernetes//Pod/shop/a"]);
    assert.deepEqual([...(seen[0]?.services ?? [])], [web]);
    assert.deepEqual([...(seen[0]?.policies ?? [])], ["shop/p"]);
    store.apply({ removedAddresses: ["unknown"], removedPolicies: ["shop/unknown"] });
    assert.equal(seen.length, 1, "nothing changed");
    stop();
    store.apply({ removedAddresses: [web] });
    assert.equal(seen.length, 1);
  });

  test("a removal in the same batch wins over the upsert", () => {
    const store = storeOf();
    store.apply({
      addresses: [addressOf(makeWorkload("a"))],
      removedAddresses: ["Kubernetes//Pod/shop/a"],
    });
    assert.equal(store.workloadByUid("Kubernetes//Pod/shop/a"), undefined);
  });

  test("local identities appear with the first workload and vanish with the last", () => {
    const store = new MeshStore({ localNode: "node1" });
    const log: string[] = [];
    store.subscribe(({ localIdentities: { appeared, vanished } }) => {
      for (const identity of appeared) log.push(`+${identity.serviceAccount}`);
      for (const identity of vanished) log.push(`-${identity.serviceAccount}`);
    });
    const pod = (name: string, spec = {}): ReturnType<typeof addressOf> =>
      addressOf(makeWorkload(name, { serviceAccount: "sa", ...spec }));
    store.apply({ addresses: [pod("far", { node: "node2" }), pod("plain", { protocol: "TCP" })] });
    assert.deepEqual(log, []);
    store.apply({ addresses: [pod("a"), pod("b")] });
    assert.deepEqual(log, ["+sa"]);
    store.apply({ addresses: [pod("a")], removedAddresses: ["Kubernetes//Pod/shop/b"] });
    assert.deepEqual(log, ["+sa"]);
    store.apply({ addresses: [pod("a", { protocol: "TCP" })] });
    assert.deepEqual(log, ["+sa", "-sa"]);
    store.apply({ addresses: [pod("a", { protocol: "TCP", nativeTunnel: true })] });
    assert.deepEqual(log, ["+sa", "-sa", "+sa"]);
  });
});
