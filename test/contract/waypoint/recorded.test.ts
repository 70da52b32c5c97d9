import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { systemClock } from "../../../src/shared/base/clock.ts";
import type { SecretSource } from "../../../src/shared/identity/secret-source.ts";
import { hostNetwork } from "../../../src/shared/os/pod-network.ts";
import { createLogger, LogFilter } from "../../../src/shared/telemetry/logger.ts";
import { DeltaDiscoveryResponseSchema } from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { loadConfig } from "../../../src/waypoint/config.ts";
import { createEngine } from "../../../src/waypoint/engine.ts";
import { SecretBook } from "../../../src/waypoint/secrets/secret-book.ts";
import { WorkloadTable } from "../../../src/waypoint/workloads/index.ts";
import { Catalog } from "../../../src/waypoint/xds/catalog.ts";
import { decodeWorkload } from "../../../src/waypoint/xds/decode-workload.ts";
import { resourcePrinter } from "../../../src/waypoint/xds/print-resource.ts";
import { wireRegistry } from "../../../src/waypoint/xds/registry.ts";
import { StateHolder } from "../../../src/waypoint/xds/state.ts";
import { clustersOf } from "../../../src/waypoint/xds/warming.ts";

const golden = resolve(import.meta.dirname, "../../golden");
const cases = readdirSync(golden).filter((name) => name.startsWith("l7-"));

const noSecrets: SecretSource = {
  fetch: () => Promise.reject(new Error("none here")),
  prefetch: () => undefined,
  forget: () => undefined,
  snapshot: () => [],
  close: () => undefined,
};

function recorded(name: string, file: string) {
  const bytes = readFileSync(join(golden, name, "waypoint", `${file}.binpb`));
  return fromBinary(DeltaDiscoveryResponseSchema, bytes);
}

function waypoint() {
  const config = loadConfig({
    env: {
      POD_NAME: "waypoint-0",
      POD_NAMESPACE: "shop",
      SERVICE_ACCOUNT: "waypoint",
      INSTANCE_IP: "10.10.2.50",
    },
    args: [],
    readFile: () => undefined,
    fileExists: () => false,
  });
  const state = new StateHolder({ get: () => undefined });
  const log = createLogger(
    { clock: systemClock, filter: new LogFilter("off"), format: "plain", write: () => undefined },
    "test",
  );
  const engine = createEngine({
    config,
    clock: systemClock,
    random: () => 0.5,
    logger: log,
    version: "test",
    variable: () => undefined,
    secrets: noSecrets,
    secretBook: new SecretBook(),
    network: hostNetwork(systemClock),
    state,
    workloads: new WorkloadTable(""),
    sourcePeer: () => undefined,
  });
  const catalog = new Catalog({
    compilers: engine.compilers,
    live: engine.live,
    state,
    clock: systemClock,
    log,
    // Nobody resolves the names of the recording here.
    warmingDeadlineMs: 100,
  });
  return { engine, state, catalog };
}

test("there are recorded cases", () => {
  assert.ok(cases.length >= 15, cases.join(" "));
});

for (const name of cases)
  test(`${name}: everything is accepted, takes effect, and every cluster that is named exists`, async () => {
    const { engine, state, catalog } = waypoint();
    try {
      assert.deepEqual(catalog.applyClusters(recorded(name, "Cluster")), []);
      assert.deepEqual(catalog.applyEndpoints(recorded(name, "ClusterLoadAssignment")), []);
      assert.deepEqual(catalog.applyListeners(recorded(name, "Listener")), []);
      for (let waits = 0; waits < 500 && state.current.main === undefined; waits++)
        await setTimeout(10);
      const { main, terminate, clusters } = state.current;
      assert.deepEqual(catalog.cold(), []);
      assert.ok(main !== undefined && main.chains.size > 0);
      assert.deepEqual(terminate?.trustDomains, ["cluster.local"]);
      assert.equal(terminate.maxStreams, 100);
      for (const cluster of clustersOf(main.chains.values()))
        assert.ok(clusters.get(cluster) !== undefined, cluster);
      for (const { resource } of recorded(name, "Workload").resources)
        assert.ok(decodeWorkload(resource?.value ?? new Uint8Array()).uid !== "");
      // The same again changes nothing: connections go on.
      assert.deepEqual(catalog.applyListeners(recorded(name, "Listener")), []);
      assert.equal(state.current.main, main);
      // And all of it can be shown.
      const print = resourcePrinter(wireRegistry());
      for (const book of Object.values(catalog.books))
        for (const { bytes } of book.accepted.values())
          assert.ok(JSON.stringify(print(book.typeUrl, bytes)).length > 50);
    } finally {
      catalog.close();
      await engine.close();
    }
  });
