import assert from "node:assert/strict";
import { test } from "node:test";
import type { HeaderField } from "../../../../src/shared/hbone/tunnel.ts";
import type { Workload } from "../../../../src/shared/model/workload.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { formatBaggage, parseBaggage } from "../../../../src/ztunnel/proxy/baggage.ts";
import {
  connectHeaders,
  forwardedHost,
  newTraceparent,
  traceIdOf,
} from "../../../../src/ztunnel/proxy/connect-headers.ts";

const workload = {
  clusterId: "Kubernetes",
  namespace: "shop",
  workloadType: "pod",
  workloadName: "cart",
  canonicalName: "cart",
  canonicalRevision: "v1",
  locality: { region: "r1", zone: "z1", subzone: "" },
} as unknown as Workload;

test("baggage: fixed order, empty values left out", () => {
  assert.equal(
    formatBaggage(workload),
    "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=cart,service.name=cart,service.version=v1,cloud.region=r1,cloud.availability_zone=z1",
  );
  assert.equal(
    formatBaggage({
      ...workload,
      workloadType: "deployment",
      canonicalRevision: "",
      locality: { region: "", zone: "", subzone: "" },
    }),
    "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=cart,service.name=cart",
  );
});

test("what is printed is read back", () => {
  assert.deepEqual(parseBaggage([["baggage", formatBaggage(workload)]]), {
    clusterId: "Kubernetes",
    namespace: "shop",
    workloadName: "cart",
    serviceName: "cart",
    revision: "v1",
    region: "r1",
    zone: "z1",
  });
});

const baggages: readonly (readonly [string, readonly string[], object])[] = [
  ["nothing", [], {}],
  ["unknown keys", ["a=b,__proto__=x,constructor=y"], {}],
  ["empty values", ["service.name=,k8s.namespace.name=ns"], { namespace: "ns" }],
  ["no equals sign", ["service.name"], {}],
  ["blanks", [" service.name = a , service.version=2 "], { serviceName: "a", revision: "2" }],
  ["several fields", ["service.name=a", "service.version=b"], { serviceName: "a", revision: "b" }],
  ["equals in the value", ["service.name=a=b"], { serviceName: "a=b" }],
];
for (const [name, values, expected] of baggages) {
  test(`baggage: ${name}`, () => {
    const headers = values.map((value): HeaderField => ["baggage", value]);
    assert.deepEqual(parseBaggage(headers), expected);
  });
}

test("the headers of a CONNECT", () => {
  const client = { ip: ipOf("fd00::7"), port: 4000 };
  const traceparent = newTraceparent();
  assert.deepEqual(
    connectHeaders({ source: workload, client, serviceHostname: "a.b", traceparent }).slice(1),
    [
      ["forwarded", 'for="[fd00::7]:4000";host=a.b'],
      ["traceparent", traceparent],
    ],
  );
  assert.deepEqual(
    connectHeaders({
      source: workload,
      client: { ip: ipOf("10.0.0.1"), port: 1 },
      serviceHostname: undefined,
      traceparent,
    })[1],
    ["forwarded", 'for="10.0.0.1:1"'],
  );
});

const hosts: readonly (readonly [string, string | undefined])[] = [
  ['for="10.0.0.1:1"', undefined],
  ['for="10.0.0.1:1";host=a.b', "a.b"],
  ['for=x;host="a.b"', "a.b"],
  ["Host=A", "A"],
  ["host=", undefined],
  ['host=""', undefined],
  ["host=ä", undefined],
  ["host=a;host=b", "a"],
  ["ghost=a", undefined],
];
for (const [value, expected] of hosts) {
  test(`forwarded host of ${value}`, () => {
    assert.equal(forwardedHost([["forwarded", value]]), expected);
  });
}

test("traceparent: always new, always well-formed", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 300; i++) {
    const value = newTraceparent();
    assert.match(value, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    assert.equal(value.length, 55);
    assert.equal(traceIdOf(value), value.slice(3, 35));
    seen.add(value);
  }
  assert.equal(seen.size, 300);
});

test("malformed traceparents carry no trace", () => {
  for (const value of [
    "",
    "00-0-0-00",
    `00-${"0".repeat(32)}-${"1".repeat(16)}-00`,
    `00-${"1".repeat(32)}-${"0".repeat(16)}-00`,
    `00-${"G".repeat(32)}-${"1".repeat(16)}-00`,
    `00-${"1".repeat(32)}-${"1".repeat(16)}-00x`,
  ])
    assert.equal(traceIdOf(value), undefined, value);
});
