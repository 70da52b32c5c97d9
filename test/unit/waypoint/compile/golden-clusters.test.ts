/** Every recorded cluster and assignment compiles, and what matters of it arrives. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../../src/shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { DeltaDiscoveryResponseSchema } from "../../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { compileCluster } from "../../../../src/waypoint/compile/cluster.ts";
import { compileAssignment } from "../../../../src/waypoint/compile/endpoints.ts";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import type { ClusterConfig } from "../../../../src/waypoint/model/cluster.ts";
import type { Assignment } from "../../../../src/waypoint/model/endpoints.ts";
import { assertHas } from "../../../support/subset.ts";

const golden = new URL("../../../golden/", import.meta.url);
const cases = readdirSync(golden).filter((name) => name.startsWith("l7-"));

function recorded(name: string, type: string): readonly Uint8Array[] {
  const bytes = readFileSync(new URL(`${name}/waypoint/${type}.binpb`, golden));
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return resources.map(({ resource }) => resource?.value ?? new Uint8Array());
}

function clustersOf(name: string, notes = new Notes()): ReadonlyMap<string, ClusterConfig> {
  const compiled = recorded(name, "Cluster").map((bytes) =>
    compileCluster(fromBinary(ClusterSchema, bytes), notes),
  );
  return new Map(compiled.map((cluster) => [cluster.name, cluster]));
}

function assignmentsOf(name: string, notes = new Notes()): ReadonlyMap<string, Assignment> {
  const compiled = recorded(name, "ClusterLoadAssignment").map((bytes) =>
    compileAssignment(fromBinary(ClusterLoadAssignmentSchema, bytes), notes),
  );
  return new Map(compiled.map((assignment) => [assignment.cluster, assignment]));
}

suite("recorded clusters", () => {
  for (const name of cases)
    test(`${name}: all compile, and each assignment has its cluster`, () => {
      const clusters = clustersOf(name);
      assert.ok(clusters.size > 4);
      for (const cluster of assignmentsOf(name).keys()) assert.ok(clusters.has(cluster));
    });

  test("a DestinationRule's circuit breakers and outlier detection arrive", () => {
    const cluster = clustersOf("l7-dr-circuit-breaker").get(
      "inbound-vip|80|http|reviews.shop.svc.cluster.local",
    );
    assertHas(cluster, {
      connectTimeoutMs: 300,
      panicThresholdPercent: 30,
      breakers: { maxConnections: 100, maxPendingRequests: 50, maxRequests: 200, maxRetries: 3 },
      outlier: {
        intervalMs: 10_000,
        baseEjectionMs: 30_000,
        maxEjectionPercent: 50,
        consecutive5xx: { threshold: 5, enforcingPercent: 100 },
        consecutiveGateway: { threshold: 3, enforcingPercent: 100 },
      },
      http: { maxRequestsPerConnection: 10, idleTimeoutMs: 30_000 },
      service: { host: "reviews.shop.svc.cluster.local", name: "reviews", namespace: "shop" },
    });
  });

  test("endpoints in the mesh are tunnelled to their pod's port 15008", () => {
    const assignment = assignmentsOf("l7-base").get(
      "inbound-vip|80|http|reviews.shop.svc.cluster.local",
    );
    const [endpoint] = assignment?.localities.flatMap(({ endpoints }) => endpoints) ?? [];
    assertHas(endpoint, {
      hostText: "envoy://connect_originate/10.10.1.11:8080",
      target: {
        kind: "hbone",
        address: { ip: "10.10.1.11", port: 8080 },
        tunnel: { ip: "10.10.1.11", port: 15008 },
      },
      workload: {
        workload: "reviews-v1",
        namespace: "shop",
        canonicalService: "reviews",
        canonicalRevision: "v1",
        cluster: "Kubernetes",
      },
    });
  });

  test("an external service is found by DNS and reached over TLS with its name", () => {
    const cluster = clustersOf("l7-egress-service-entry").get(
      "inbound-vip|80|http|api.example.com",
    );
    assert.equal(cluster?.discovery.kind, "dns");
    assertHas(cluster?.transport.tls, {
      sni: "api.example.com",
      trust: { kind: "system" },
      peer: { names: [{ type: "any", matcher: { kind: "exact", value: "api.example.com" } }] },
    });
  });

  test("a headless service goes where the client wanted, plain; encap does in a tunnel", () => {
    const clusters = clustersOf("l7-session-affinity-headless");
    assertHas(clusters.get("inbound-vip|80|http|heads.shop.svc.cluster.local")?.discovery, {
      kind: "original-destination",
      tunnelled: false,
    });
    assertHas(clusters.get("encap")?.discovery, {
      kind: "original-destination",
      tunnelled: true,
    });
  });

  test("balancers of DestinationRules arrive with their settings", () => {
    const clusters = clustersOf("l7-dr-load-balancers");
    const kinds = new Set([...clusters.values()].map(({ balance }) => balance.kind));
    for (const kind of ["least-request", "random", "ring-hash"] as const)
      assert.ok(kinds.has(kind), kind);
    assert.ok(
      [...clusters.values()].some(
        ({ balance }) =>
          balance.kind === "least-request" &&
          balance.slowStart?.windowMs === 30_000 &&
          balance.slowStart.minWeightPercent === 10,
      ),
    );
  });
});
