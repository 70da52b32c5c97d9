import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { parseLocalConfig } from "../../../../src/shared/xds/local-config.ts";

const example = `
workloads:
- uid: cluster1//Pod/default/local-1
  name: local-1
  namespace: default
  serviceAccount: default
  workloadIps: ["127.0.0.2"]
  protocol: HBONE
  node: local
  waypoint: { destination: "default/waypoint.example", hboneMtlsPort: 15008 }
  services:
    default/example.com:
      80: 8080
  authorizationPolicies: ["default/only-web"]
services:
- name: example
  namespace: default
  hostname: example.com
  vips: ["/127.10.0.1"]
  ports: { 80: 8080 }
  waypoint: { destination: "/127.0.0.9", hboneMtlsPort: 15009 }
policies:
- name: only-web
  namespace: default
  scope: WorkloadSelector
  action: Allow
  rules:
  - - - principals: [{ Exact: cluster.local/ns/default/sa/web }]
        notDestinationPorts: [9999]
      - sourceIps: ["10.0.0.0/8"]
`;

test("workloads, services and policies are read in the shape of the dump", () => {
  const store = new MeshStore();
  store.apply(parseLocalConfig(example));
  const workload = store.workloadByAddress("", ipOf("127.0.0.2"));
  assert.equal(workload?.name, "local-1");
  assert.equal(workload.clusterId, "Kubernetes");
  assert.deepEqual(workload.waypoint?.destination, {
    kind: "hostname",
    namespace: "default",
    hostname: "waypoint.example",
  });
  const service = store.serviceByVip("", ipOf("127.10.0.1"));
  assert.equal(service?.hostname, "example.com");
  assert.deepEqual(service.waypoint?.destination, {
    kind: "address",
    address: { network: "", ip: "127.0.0.9" },
  });
  assert.equal(store.endpoint("default/example.com", workload.uid)?.ports.get(80), 8080);
  const [policy] = store.policiesFor(workload).policies;
  assert.equal(policy?.rules[0]?.clauses[0]?.matches.length, 2);
});

test("an empty text is an empty mesh", () => {
  assert.deepEqual(parseLocalConfig(""), { addresses: [], policies: [] });
});

describe("what is refused", () => {
  const rows: readonly [string, string, RegExp][] = [
    ["broken YAML", "workloads: [", /^Cannot read local config: /],
    ["an unknown key", "workload: []", /workload: /],
    ["an unknown key of a workload", "workloads: [{uid: a, ip: x}]", /workloads\[0\]\.ip: /],
    [
      "a bad address",
      'workloads: [{uid: a, workloadIps: ["1.2.3"]}]',
      /workloads\[0\]\.workloadIps\[0\]: must be an IP address, found "1\.2\.3"/,
    ],
    [
      "a bad enum",
      "workloads: [{uid: a, protocol: hbone}]",
      /workloads\[0\]\.protocol: must be one of TCP, HBONE/,
    ],
    [
      "a services key without slash",
      "workloads: [{uid: a, services: {x: {80: 80}}}]",
      /workloads\[0\]\.services: /,
    ],
    [
      "a port that cannot be",
      "services: [{name: a, namespace: b, hostname: c, ports: {99999: 1}}]",
      /services\[0\]\.ports/,
    ],
    [
      "two kinds of string match",
      "policies: [{name: a, namespace: b, scope: Global, action: Deny, rules: [[[{namespaces: [{Exact: x, Prefix: y}]}]]]}]",
      /policies\[0\]\.rules\[0\]\[0\]\[0\]\.namespaces\[0\]: must be one of/,
    ],
    [
      "a gateway without slash",
      "workloads: [{uid: a, waypoint: {destination: x, hboneMtlsPort: 1}}]",
      /workloads\[0\]\.waypoint\.destination/,
    ],
  ];
  for (const [name, text, expected] of rows)
    test(name, () =>
      assert.throws(() => parseLocalConfig(text), { name: "RangeError", message: expected }),
    );

  test("all problems are named together", () => {
    const text = "workloads: [{uid: a, protocol: x}, {uid: 7}]";
    assert.throws(() => parseLocalConfig(text), /workloads\[0\]\.protocol.*workloads\[1\]\.uid/);
  });
});
