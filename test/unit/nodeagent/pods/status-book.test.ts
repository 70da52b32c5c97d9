import assert from "node:assert/strict";
import { it } from "node:test";
import { StatusBook } from "../../../../src/nodeagent/pods/status-book.ts";

it("writes one file at a time, and a change is settled when a file has it", async () => {
  const written: string[] = [];
  let writing = 0;
  const book = new StatusBook(
    "n1",
    async ({ pods }) => {
      assert.equal(++writing, 1);
      await new Promise((resolve) => setImmediate(resolve));
      written.push(pods.join(","));
      writing--;
    },
    ["old"],
  );
  await book.flush();
  await Promise.all([
    book.add("b").then(() => assert.match(written.at(-1) ?? "", /b/)),
    book.add("a"),
    book.remove("old"),
  ]);
  assert.deepEqual([written[0], written.at(-1)], ["old", "a,b"]);
  assert.ok(written.length <= 3);
  assert.deepEqual([book.has("a"), book.has("old")], [true, false]);
});

it("tells the one whose file could not be written, and writes the next", async () => {
  let broken = true;
  const written: (readonly string[])[] = [];
  const book = new StatusBook(
    "n1",
    async ({ pods }) => {
      if (broken) throw new Error("disk full");
      written.push(pods);
    },
    [],
  );
  await assert.rejects(book.add("a"), /disk full/);
  broken = false;
  await book.add("b");
  assert.deepEqual(written, [["a", "b"]]);
});
