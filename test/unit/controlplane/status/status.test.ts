import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadStatus } from "../../../../src/controlplane/status/load.ts";
import { statusText } from "../../../../src/controlplane/status/text.ts";
import { defaultMeshSettings } from "../../../../src/controlplane/translate/settings.ts";
import {
  redirectionStatusDir,
  writeRedirectionStatus,
} from "../../../../src/shared/status/redirection.ts";
import { istio, namespace, pod } from "../../../support/translate.ts";

let dir: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), "ambit-status-report-"));
});
after(() => rmSync(dir, { recursive: true }));

const netns = { annotations: { "ambit.dev/netns": "/x" } };

async function report(objects: readonly string[], node?: string) {
  writeFileSync(join(dir, "objects.yaml"), objects.join("\n---\n"));
  return loadStatus(dir, defaultMeshSettings, node);
}

test("pods: captured, waiting, outside, each with its reason", async () => {
  const objects = [
    namespace("shop", { "istio.io/dataplane-mode": "ambient" }),
    pod("here", netns),
    pod("soon", netns),
    pod("out", { ...netns, labels: { "istio.io/dataplane-mode": "none" } }),
    pod("far", { ...netns, spec: { nodeName: "node2" } }),
  ];
  await writeRedirectionStatus(await redirectionStatusDir(dir), {
    node: "node1",
    pods: ["shop/here"],
  });
  const { pods } = await report(objects);
  assert.deepEqual(
    pods.map(({ pod: name, mesh, reason }) => [name, mesh, reason]),
    [
      ["shop/here", "captured", "by its namespace's label"],
      ["shop/soon", "waiting for the node agent", "by its namespace's label"],
      ["shop/out", "outside", "the pod carries the label istio.io/dataplane-mode=none"],
      ["shop/far", "captured", "by its namespace's label"],
    ],
  );
  assert.deepEqual(
    (await report(objects, "node2")).pods.map(({ pod: name }) => name),
    ["shop/far"],
  );
});

test("an L7-only DENY is said to be not enforced, with what to do; a refused object with its place", async () => {
  const deny = { action: "DENY", rules: [{ to: [{ operation: { methods: ["GET"] } }] }] };
  const text = statusText(
    await report([
      istio("AuthorizationPolicy", "http", deny),
      istio("AuthorizationPolicy", "odd", { acton: "DENY" }),
    ]),
  );
  assert.match(text, /AuthorizationPolicy\/shop\/http .*not enforced.*Deploy a waypoint/);
  assert.match(text, /objects\.yaml:3: AuthorizationPolicy shop\/odd spec\.acton: unknown field/);
  assert.match(text, /1 AuthorizationPolicy/);
});

test("what only a gateway acts on is listed as not handled, under the name its author knows", async () => {
  const edge =
    "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\nspec: {anything: {goes: [1]}}";
  const objects = [edge, namespace("shop", {})];
  const { unhandled, problems, skipped } = await report(objects);
  assert.deepEqual(
    unhandled.map((line) => line.replace(/^.*\//, "")),
    ["edge"],
  );
  assert.deepEqual([problems, skipped], [[], []]);
  const text = statusText(await report(objects));
  assert.match(text, /^ {2}1 Gateway \(networking\.istio\.io\), 1 Namespace$/m);
  assert.match(
    text,
    /\nNot handled \(for gateways at the edge\)\n.*objects\.yaml:1: Gateway \(networking\.istio\.io\) shop\/edge\n/,
  );
});

test("nothing at all is shown as such", async () => {
  assert.equal(statusText(await report([])), "Objects\n  none\n");
});
