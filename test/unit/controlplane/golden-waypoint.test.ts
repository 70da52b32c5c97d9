/** For every golden input, what the waypoint is told equals what the reference control plane sent it, field by field. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { SnapshotBuilder } from "../../../src/controlplane/push/snapshot.ts";
import { workloadType } from "../../../src/controlplane/push/types.ts";
import { ClusterSchema } from "../../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../src/shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { DeltaDiscoveryResponseSchema } from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { WorkloadSchema } from "../../../src/shared/wire/gen/istio/workload/workload_pb.js";
import { plainMessage } from "../../support/plain-message.ts";
import { objectsOf, translate } from "../../support/translate.ts";
import {
  type PlainResources,
  plainClusters,
  plainEndpoints,
  plainListeners,
  type ViewOptions,
  viewOf,
} from "../../support/waypoint-view.ts";

const root = resolve(import.meta.dirname, "../../golden");
const cases = readdirSync(root).filter((name) => name.startsWith("l7-"));

/** What the API server of the recordings knew and the inputs do not say. */
interface Unsaid {
  readonly options?: ViewOptions;
  /** Services by age: a waypoint tries addresses, and lists chains, in that order. Others come last. */
  readonly ages?: readonly string[];
}

const unsaid: Readonly<Record<string, Unsaid>> = {
  "l7-egress-service-entry": {
    // The reference recorded all cases on one cluster, whose allocator had given away the first address before.
    options: { handedOut: [["shop/api-ext/api.example.com", ["240.240.0.3", "2001:2::3"]]] },
    ages: ["db", "ratings", "reviews", "api-ext"],
  },
  "l7-session-affinity-headless": {
    ages: ["db", "ratings", "reviews", "heads", "sticky", "empty"],
  },
};

function withAges(text: string, ages: readonly string[]): string {
  return text
    .split(/^---$/m)
    .map((document) => {
      const name = /^ {2}name: (\S+)$/m.exec(document)?.[1] ?? "";
      if (!/^kind: Service(Entry)?$/m.test(document) || ages.length === 0) return document;
      const second = ages.indexOf(name) < 0 ? ages.length : ages.indexOf(name);
      const stamp = `creationTimestamp: "2026-08-01T00:00:0${second}Z"`;
      return document.replace(/^metadata:$/m, `metadata:\n  ${stamp}`);
    })
    .join("---");
}

function recorded(name: string, type: string, schema: DescMessage): PlainResources {
  const bytes = readFileSync(join(root, name, "waypoint", `${type}.binpb`));
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return Object.fromEntries(
    resources.map(({ name, resource }) => [
      name,
      plainMessage(schema, resource?.value ?? new Uint8Array()),
    ]),
  );
}

/**
 * Differences on purpose. The reference writes a route's matches on query parameters in the random order of a map; all of
 * them must hold, so that their order says nothing. Ours are sorted.
 */
function accepted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(accepted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [
      key,
      key === "queryParameters" && Array.isArray(field) ? field.toSorted(byName) : accepted(field),
    ]),
  );
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

function workloadsOf(text: string): PlainResources {
  const { snapshot } = new SnapshotBuilder().next(translate(text));
  const resources = [...snapshot.tables[workloadType].byName];
  return Object.fromEntries(
    resources.map(([name, { bytes }]) => [name, plainMessage(WorkloadSchema, bytes)]),
  );
}

test("the recordings of a waypoint are all here", () => {
  assert.equal(cases.length, 18);
});

for (const name of cases) {
  const { options = {}, ages = [] } = unsaid[name] ?? {};
  const text = withAges(readFileSync(join(root, name, "input.yaml"), "utf8"), ages);
  test(`${name}: clusters, endpoints and listeners equal the reference's`, () => {
    const view = viewOf(objectsOf(text), options);
    assert.deepEqual(plainClusters(view), recorded(name, "Cluster", ClusterSchema));
    assert.deepEqual(
      plainEndpoints(view),
      recorded(name, "ClusterLoadAssignment", ClusterLoadAssignmentSchema),
    );
    assert.deepEqual(
      accepted(plainListeners(view)),
      accepted(recorded(name, "Listener", ListenerSchema)),
    );
  });

  test(`${name}: workloads equal the reference's`, () => {
    assert.deepEqual(workloadsOf(text), recorded(name, "Workload", WorkloadSchema));
  });
}
