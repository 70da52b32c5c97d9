/**
 * A plain Envoy takes what our own control plane makes of every recorded case, and what the reference sent, once that is taken
 * away which only the reference's build of Envoy has. What that is, is listed here by name.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { clusterType } from "../../../../src/waypoint/xds/types.ts";
import { envoyVersion, withoutEnvoy } from "../../../support/envoy.ts";
import { envoyRefuses, onlyReference } from "../../../support/waypoint/cases/envoy.ts";
import {
  type CaseResources,
  caseResources,
  logTo,
  type Source,
} from "../../../support/waypoint/cases/resources.ts";
import { newRoot, newWorkload, spiffe } from "../../../unit/shared/identity/pki.ts";
import { cases } from "./run.ts";

const dir = mkdtempSync(join(tmpdir(), "ambit-accepted-"));
const certificate = newWorkload(newRoot(), { uris: [spiffe("shop/waypoint")] });

after(() => rmSync(dir, { recursive: true }));

/** What a test has as its standard output cannot be opened as a file. */
function loggedResources(golden: string, source: Source): CaseResources {
  const resources = caseResources(golden, source);
  logTo(resources, join(dir, "access.log"));
  return resources;
}

test("what is taken away are four filters and the name of a factory", () => {
  assert.deepEqual([...onlyReference].sort(), [
    "istio.metadata_exchange",
    "istio.stats",
    "waypoint_downstream_peer_metadata",
    "waypoint_upstream_peer_metadata",
  ]);
});

test("every recorded case is here", () => assert.equal(cases.length, 18));

for (const source of ["own", "recorded"] as const)
  for (const golden of cases)
    test(`${golden}: ${source}`, { skip: withoutEnvoy }, () =>
      assert.equal(envoyRefuses(loggedResources(golden, source), certificate, dir), ""),
    );

test("what is wrong is refused, so that acceptance means something", {
  skip: withoutEnvoy,
}, (context) => {
  context.diagnostic(`Envoy ${envoyVersion()}`);
  const resources: CaseResources = caseResources("l7-base", "own");
  resources.get(clusterType)?.delete("main_internal");
  assert.match(envoyRefuses(resources, certificate, dir), /unknown cluster 'main_internal'/);
});
