import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  candidates,
  kubernetesSearchDomains,
  storedNames,
} from "../../../../src/ztunnel/dns/candidates.ts";

function names(
  name: string,
  searchDomains = kubernetesSearchDomains("ns1", "cluster.local"),
): string[] {
  const context = { clientNamespace: "ns1", clusterDomain: "cluster.local", searchDomains };
  return candidates(name.split("."), context).map(({ labels, keptLabels }) =>
    keptLabels === undefined ? labels.join(".") : `${labels.join(".")} (${keptLabels})`,
  );
}

const table: readonly (readonly [name: string, expected: readonly string[]])[] = [
  ["name", ["name", "name.ns1.svc.cluster.local"]],
  ["name.ns2", ["name.ns2", "name.ns2.svc.cluster.local", "name.ns2.ns1.svc.cluster.local"]],
  [
    "name.ns2.svc",
    ["name.ns2.svc", "name.ns2.svc.cluster.local", "name.ns2.svc.svc.cluster.local"],
  ],
  ["a.b.c", ["a.b.c", "a.b.c.svc.cluster.local"]],
  ["pod.name.ns2.svc", ["pod.name.ns2.svc", "pod.name.ns2.svc.cluster.local"]],
  ["a.b.c.d", ["a.b.c.d"]],
  [
    "name.ns1.svc.cluster.local",
    [
      "name.ns1.svc.cluster.local",
      "name (1)",
      "name.ns1 (2)",
      "name.ns1.ns1.svc.cluster.local (2)",
      "name.ns1.svc (3)",
      "name.ns1.svc.svc.cluster.local (3)",
    ],
  ],
  [
    "cluster.local",
    ["cluster.local", "cluster.local.svc.cluster.local", "cluster.local.ns1.svc.cluster.local"],
  ],
];

describe("candidates", () => {
  for (const [name, expected] of table) it(name, () => assert.deepEqual(names(name), expected));

  it("without search domains", () =>
    assert.deepEqual(names("a.ns1.svc.cluster.local", []), ["a.ns1.svc.cluster.local"]));
  it("wildcards take ever more labels, never all", () =>
    assert.deepEqual(
      [...storedNames(["www", "example", "com"])].map(({ hostname }) => hostname),
      ["www.example.com", "*.example.com", "*.com"],
    ));
  it("a wildcard has no wildcards", () =>
    assert.deepEqual(
      [...storedNames(["*", "example", "com"])].map(({ hostname }) => hostname),
      ["*.example.com"],
    ));
});
