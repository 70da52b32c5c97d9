import assert from "node:assert/strict";
import { test } from "node:test";
import {
  emptyContent,
  mergeContents,
  updateContent,
} from "../../../../src/shared/objects/file/content.ts";

const pod = (name: string, app = "a") =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, labels: { app: ${app} } }\n`;
const bad = (name: string) => pod(name).replace("labels", "lables");
const join = (...parts: string[]) => parts.join("---\n");
const keys = (content: { objects: readonly { key: string }[] }) =>
  content.objects.map(({ key }) => key);

test("what did not change keeps its object, wherever it moves", () => {
  const first = updateContent(emptyContent("f"), join(pod("a"), pod("b")));
  const second = updateContent(
    first,
    join(pod("new"), "# a comment\n", pod("a"), pod("b", "other")),
  );
  const find = (content: typeof first, name: string) =>
    content.objects.find(({ metadata }) => metadata.name === name);
  assert.equal(find(second, "a"), find(first, "a"));
  assert.notEqual(find(second, "b"), find(first, "b"));
  assert.ok((find(second, "a")?.origin.line ?? 0) > 4);
});

test("a broken text keeps everything and says so", () => {
  const good = updateContent(emptyContent("f"), join(pod("a"), pod("b")));
  const broken = updateContent(good, join(pod("a"), "x: [\n", pod("c")));
  assert.deepEqual(keys(broken), keys(good));
  assert.deepEqual(
    broken.problems.map(({ kept }) => kept),
    [true],
  );
  const repaired = updateContent(broken, join(pod("a"), pod("c")));
  assert.deepEqual([keys(repaired), repaired.problems], [["Pod/default/a", "Pod/default/c"], []]);
  const never = updateContent(emptyContent("f"), "x: [");
  assert.deepEqual([never.objects, never.problems[0]?.kept], [[], false]);
});

test("a refused object keeps its last good version, the rest goes on", () => {
  const good = updateContent(emptyContent("f"), join(pod("a"), pod("b")));
  const refused = updateContent(good, join(bad("a"), pod("b", "new"), bad("c")));
  assert.deepEqual(keys(refused), ["Pod/default/a", "Pod/default/b"]);
  assert.equal(refused.objects[0], good.objects[0]);
  assert.deepEqual(
    refused.problems.map(({ object, kept }) => [object, kept]),
    [
      ["Pod default/a", true],
      ["Pod default/c", false],
    ],
  );
  assert.deepEqual(
    keys(updateContent(refused, pod("b"))),
    ["Pod/default/b"],
    "removed from the file means removed",
  );
});

test("of two objects with one name the first stands and the other is a problem", () => {
  const one = updateContent(emptyContent("1.yaml"), pod("a", "first"));
  const two = updateContent(emptyContent("2.yaml"), join(pod("a", "second"), pod("b")));
  const { objects, duplicates } = mergeContents([one, two]);
  assert.equal(objects.get("Pod/default/a"), one.objects[0]);
  assert.deepEqual([...objects.keys()], ["Pod/default/a", "Pod/default/b"]);
  assert.deepEqual(
    duplicates.map(({ reason }) => reason),
    ["already defined in 1.yaml:1"],
  );
});
