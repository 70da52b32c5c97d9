import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Service, Workload } from "../../../../src/shared/model/workload.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { kubernetesSearchDomains } from "../../../../src/ztunnel/dns/candidates.ts";
import {
  type Resolution,
  type ResolveContext,
  resolve,
} from "../../../../src/ztunnel/dns/resolve.ts";
import { client, service, store, workload } from "./fixture.ts";

const headlessKey = "ns1/headless.ns1.svc.cluster.local" as const;
const services: readonly Service[] = [
  service({ hostname: "productpage.ns1.svc.cluster.local", vips: ["9.9.9.9"] }),
  service({ hostname: "example.ns2.svc.cluster.local", namespace: "ns2", vips: ["10.10.10.10"] }),
  service({
    hostname: "details.ns2.svc.cluster.remote",
    namespace: "ns2",
    vips: ["11.11.11.11", "fd00::11"],
  }),
  service({ hostname: "www.google.com", vips: ["1.1.1.1"], canonical: false }),
  service({ hostname: "www.bing.com", vips: ["2.2.2.2"], canonical: false }),
  service({ hostname: "*.wildcard.example.com", vips: ["3.3.3.3"], canonical: false }),
  service({ hostname: "a.b.wildcard.example.com", vips: ["4.4.4.4"], canonical: false }),
  service({ hostname: "*.svc.mesh.company.net", vips: ["10.1.2.3"], canonical: false }),
  service({ hostname: "dual.ns1.svc.cluster.local", vips: ["5.5.5.5", "2001:db8::5"] }),
  service({
    hostname: "only4.ns1.svc.cluster.local",
    vips: ["5.5.5.6", "2001:db8::6"],
    ipFamilies: "IPv4Only",
  }),
  service({
    hostname: "only6.ns1.svc.cluster.local",
    vips: ["5.5.5.7", "2001:db8::7"],
    ipFamilies: "IPv6Only",
  }),
  service({
    hostname: "nets.ns1.svc.cluster.local",
    vips: ["6.6.6.6", "remote/6.6.6.7", "6.6.6.8"],
  }),
  service({ hostname: "far.ns1.svc.cluster.local", vips: ["remote/6.6.6.9"] }),
  service({ hostname: "headless.ns1.svc.cluster.local" }),
  service({ hostname: "empty.ns1.svc.cluster.local" }),
  service({ hostname: "no-address.example.com", canonical: false }),
  service({
    hostname: "private.example.com",
    namespace: "ns2",
    vips: ["7.7.7.7"],
    visibility: "Namespace",
  }),
  service({ hostname: "own.example.com", vips: ["7.7.7.8"], visibility: "Namespace" }),
  service({
    hostname: "all.ns1.svc.cluster.local",
    loadBalancing: { routingPreferences: [], mode: "Standard", healthPolicy: "AllowAll" },
  }),
];
const headlessPorts = new Map([[headlessKey, new Map<number, number>()]]);
const workloads: readonly Workload[] = [
  workload({
    uid: "w1",
    addresses: [ipOf("30.30.30.30"), ipOf("2001:db8::30")],
    services: headlessPorts,
  }),
  workload({
    uid: "w2",
    addresses: [ipOf("31.31.31.31"), ipOf("31.31.31.99")],
    services: headlessPorts,
  }),
  workload({
    uid: "w3",
    addresses: [ipOf("32.32.32.32")],
    status: "Unhealthy",
    services: headlessPorts,
  }),
  // Two pods of one host network.
  workload({
    uid: "w4",
    addresses: [ipOf("31.31.31.31")],
    networkMode: "HostNetwork",
    services: headlessPorts,
  }),
  workload({
    uid: "w5",
    addresses: [ipOf("33.33.33.33")],
    status: "Unhealthy",
    services: new Map([["ns1/all.ns1.svc.cluster.local" as const, new Map<number, number>()]]),
  }),
];
const view = store(services, workloads);

function context(over: Partial<ResolveContext> = {}): ResolveContext {
  return {
    client,
    clusterDomain: "cluster.local",
    searchDomains: kubernetesSearchDomains("ns1", "cluster.local"),
    ipv6Enabled: true,
    ...over,
  };
}

function ask(name: string, family: 4 | 6 = 4, over: Partial<ResolveContext> = {}): Resolution {
  const labels = name.split(".").filter((label) => label !== "");
  return resolve({ name: labels, family }, context(over), view);
}

/** `kind [cname ->] addresses` in a line, so that a table is readable. */
function summary(resolution: Resolution): string {
  switch (resolution.kind) {
    case "answer": {
      const alias = resolution.cname === undefined ? "" : `${resolution.cname.join(".")} -> `;
      return `${alias}${resolution.addresses.join(" ")}`;
    }
    case "empty":
    case "forward":
    case "servfail":
      return `${resolution.kind}: ${resolution.reason}`;
  }
}

const table: readonly (readonly [what: string, name: string, family: 4 | 6, expected: string])[] = [
  ["fully qualified", "productpage.ns1.svc.cluster.local", 4, "9.9.9.9"],
  ["upper case", "PRODUCTPAGE.ns1.SVC.Cluster.Local", 4, "9.9.9.9"],
  ["short name", "productpage", 4, "9.9.9.9"],
  ["name.namespace", "productpage.ns1", 4, "9.9.9.9"],
  ["name.namespace of another namespace", "example.ns2", 4, "10.10.10.10"],
  ["name.namespace.svc", "productpage.ns1.svc", 4, "9.9.9.9"],
  ["name.namespace.svc of another namespace", "example.ns2.svc", 4, "10.10.10.10"],
  ["short name of another namespace", "example", 4, "forward: unknown-name"],
  ["another cluster domain is a plain host", "details.ns2.svc.cluster.remote", 4, "11.11.11.11"],
  ["another cluster domain, IPv6", "details.ns2.svc.cluster.remote", 6, "fd00::11"],
  ["its short form is nobody's", "details.ns2.svc", 4, "forward: unknown-name"],
  ["ServiceEntry host", "www.google.com", 4, "1.1.1.1"],
  ["family that a host does not have", "www.google.com", 6, "empty: family-unsupported"],
  ["unknown", "www.bogus.com", 4, "forward: unknown-name"],
  ["unknown in the cluster domain", "bogus.ns1.svc.cluster.local", 4, "forward: unknown-name"],
  ["root", "", 4, "forward: unknown-name"],
  ["wildcard", "foo.wildcard.example.com", 4, "3.3.3.3"],
  ["wildcard, several labels", "x.y.z.wildcard.example.com", 4, "3.3.3.3"],
  ["exact beats wildcard", "a.b.wildcard.example.com", 4, "4.4.4.4"],
  ["wildcard needs a label", "wildcard.example.com", 4, "forward: unknown-name"],
  ["wildcard asked for literally", "*.wildcard.example.com", 4, "3.3.3.3"],
  ["wildcard of services elsewhere", "foo.ns9.svc.mesh.company.net", 4, "10.1.2.3"],
  ["search domain, host", "www.google.com.ns1.svc.cluster.local", 4, "www.google.com -> 1.1.1.1"],
  ["second search domain", "www.google.com.svc.cluster.local", 4, "www.google.com -> 1.1.1.1"],
  ["third search domain", "www.google.com.cluster.local", 4, "www.google.com -> 1.1.1.1"],
  [
    "search domain keeps case",
    "WWW.google.com.Ns1.svc.cluster.local",
    4,
    "WWW.google.com -> 1.1.1.1",
  ],
  [
    "search domain on a full name",
    "productpage.ns1.svc.cluster.local.ns1.svc.cluster.local",
    4,
    "productpage.ns1.svc.cluster.local -> 9.9.9.9",
  ],
  [
    "search domain on name.namespace",
    "productpage.ns1.ns1.svc.cluster.local",
    4,
    "productpage.ns1 -> 9.9.9.9",
  ],
  [
    "search domain, wildcard: no alias",
    "foo.wildcard.example.com.ns1.svc.cluster.local",
    4,
    "3.3.3.3",
  ],
  [
    "search domain, family missing",
    "www.google.com.ns1.svc.cluster.local",
    6,
    "empty: family-unsupported",
  ],
  [
    "search domain of another namespace",
    "www.google.com.ns2.svc.cluster.local",
    4,
    "forward: unknown-name",
  ],
  ["dual stack, IPv4", "dual", 4, "5.5.5.5"],
  ["dual stack, IPv6", "dual", 6, "2001:db8::5"],
  ["IPv4 only hides its IPv6 address", "only4", 6, "empty: family-unsupported"],
  ["IPv6 only hides its IPv4 address", "only6", 4, "empty: family-unsupported"],
  ["IPv6 only", "only6", 6, "2001:db8::7"],
  ["own network's addresses only", "nets", 4, "6.6.6.6 6.6.6.8"],
  ["all addresses in another network", "far", 4, "empty: other-network"],
  ["headless: ready endpoints, each address once", "headless", 4, "30.30.30.30 31.31.31.31"],
  ["headless, IPv6", "headless.ns1.svc", 6, "2001:db8::30"],
  ["headless without endpoints", "empty", 4, "empty: no-endpoints"],
  ["headless that publishes unready endpoints", "all", 4, "33.33.33.33"],
  [
    "a pod of a headless service is not ours",
    "w1.headless.ns1.svc.cluster.local",
    4,
    "forward: unknown-name",
  ],
  ["host without address is not ours", "no-address.example.com", 4, "forward: unknown-name"],
  ["invisible is absent", "private.example.com", 4, "forward: unknown-name"],
  ["visible in its namespace", "own.example.com", 4, "7.7.7.8"],
];

describe("resolve", () => {
  for (const [what, name, family, expected] of table)
    it(what, () => assert.equal(summary(ask(name, family)), expected));

  it("leaves other types of a name of ours to the nameserver", () => {
    const question = { name: ["productpage", "ns1", "svc", "cluster", "local"], family: undefined };
    assert.equal(summary(resolve(question, context(), view)), "forward: not-an-address-query");
  });
  it("cannot answer for an unknown pod", () =>
    assert.equal(
      summary(ask("www.google.com", 4, { client: undefined })),
      "servfail: unknown-client",
    ));
  it("has no IPv6 where IPv6 is off", () =>
    assert.equal(summary(ask("dual", 6, { ipv6Enabled: false })), "empty: family-unsupported"));
  it("answers for the client's own network", () =>
    assert.equal(summary(ask("nets", 4, { client: { ...client, network: "remote" } })), "6.6.6.7"));
  it("takes off a search domain of the pod's own", () =>
    assert.equal(
      summary(ask("www.bing.com.corp.example", 4, { searchDomains: ["corp.example"] })),
      "www.bing.com -> 2.2.2.2",
    ));
  it("follows another cluster domain", () => {
    const over = { clusterDomain: "cluster.remote", searchDomains: [] };
    assert.equal(summary(ask("details.ns2", 4, over)), "11.11.11.11");
    assert.equal(summary(ask("productpage", 4, over)), "forward: unknown-name");
  });
  it("does not take a dot inside a label for a separator", () => {
    const name = ["x", "a.wildcard", "example", "com"];
    assert.equal(summary(resolve({ name, family: 4 }, context(), view)), "forward: unknown-name");
  });
});

describe("services that share a hostname", () => {
  const host = "shared.example.com";
  const of = (namespace: string, ip: string, over: Partial<Service> = {}) =>
    service({ hostname: host, namespace, canonical: false, ...over, vips: [ip] });
  const pick = (all: readonly Service[], preferredNamespace?: string) => {
    const mesh = {
      servicesByHostname: (name: string) => (name === host ? all : []),
      allEndpoints: () => [],
    };
    return resolve({ name: host.split("."), family: 4 }, context({ preferredNamespace }), mesh);
  };

  it("the client's namespace comes first", () =>
    assert.equal(
      summary(pick([of("a", "1.0.0.1", { canonical: true }), of("ns1", "1.0.0.2")])),
      "1.0.0.2",
    ));
  it("then the canonical one", () =>
    assert.equal(
      summary(pick([of("pref", "1.0.0.1"), of("b", "1.0.0.2", { canonical: true })], "pref")),
      "1.0.0.2",
    ));
  it("then the preferred namespace", () =>
    assert.equal(summary(pick([of("a", "1.0.0.1"), of("pref", "1.0.0.2")], "pref")), "1.0.0.2"));
  it("then the first", () =>
    assert.equal(summary(pick([of("b", "1.0.0.1"), of("a", "1.0.0.2")])), "1.0.0.1"));
  it("says who was passed over, and why", () => {
    const hidden = of("z", "1.0.0.9", { visibility: "Namespace", canonical: true });
    const bare = service({ hostname: host, namespace: "y" });
    const decision = pick([hidden, bare, of("a", "1.0.0.1"), of("ns1", "1.0.0.2")]);
    assert.equal(decision.kind, "answer");
    assert.deepEqual(
      "passedOver" in decision &&
        decision.passedOver.map(({ namespace, reason }) => [namespace, reason]),
      [
        ["z", "not-visible"],
        ["y", "no-virtual-address"],
        ["a", "ranked-lower"],
      ],
    );
  });
});
