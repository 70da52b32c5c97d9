import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  parseRedirectionStatus,
  readRedirectionStatuses,
  redirectionStatusDir,
  removeRedirectionStatus,
  writeRedirectionStatus,
} from "../../../../src/shared/status/redirection.ts";

let dir: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), "ambit-status-"));
});
after(() => rmSync(dir, { recursive: true }));

test("a node's list is written whole, read back and withdrawn", async () => {
  const status = join(dir, "status");
  assert.deepEqual(await readRedirectionStatuses(status), []);
  await writeRedirectionStatus(status, { node: "node2", pods: [] });
  await writeRedirectionStatus(status, { node: "node1", pods: ["b", "a"] });
  assert.deepEqual(await readRedirectionStatuses(status), [
    { kind: "status", status: { node: "node1", pods: ["a", "b"] } },
    { kind: "status", status: { node: "node2", pods: [] } },
  ]);
  assert.deepEqual(readdirSync(status).sort(), ["node1.json", "node2.json"], "no draft is left");
  await removeRedirectionStatus(status, "node1");
  await removeRedirectionStatus(status, "node1");
  assert.equal((await readRedirectionStatuses(status)).length, 1);
});

test("the folder stands beside a file and inside a folder of objects", async () => {
  const folder = join(dir, "objects");
  mkdirSync(folder);
  const file = join(folder, "all.yaml");
  writeFileSync(file, "");
  assert.equal(await redirectionStatusDir(folder), join(folder, ".ambit", "status"));
  assert.equal(await redirectionStatusDir(file), join(`${file}.ambit`, "status"));
});

test("a node name that is no file name is refused", async () => {
  await assert.rejects(writeRedirectionStatus(dir, { node: "../x", pods: [] }), RangeError);
});

for (const text of [
  "",
  "[]",
  "{}",
  '{"node":"a"}',
  '{"node":"A/b","pods":[]}',
  '{"node":"a","pods":[1]}',
])
  test(`${JSON.stringify(text)} is no status`, () => {
    assert.equal(parseRedirectionStatus("f", text).kind, "broken");
  });
