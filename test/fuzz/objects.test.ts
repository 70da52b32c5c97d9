/**
 * Object files of the control plane: any text is parsed, refused with a line, or broken with a line; what is accepted is
 * translated and encoded without an exception; an object beside a broken one in another document stands.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseObjects, splitDocuments } from "../../src/shared/objects/parse.ts";
import { parseLocalConfig } from "../../src/shared/xds/local-config.ts";
import { fuzz } from "./harness.ts";

function runDocument(text: string, firstLine: number): string {
  const parsed = parseObjects(text, { file: "f.yaml", firstLine });
  const lines = text.split("\n").length;
  if (parsed.kind === "broken") {
    assert.ok(parsed.line >= 1 && parsed.line <= lines + 1 && parsed.reason !== "");
    return "broken";
  }
  return parsed.objects
    .map((item) => {
      assert.ok(item.line >= 1 && item.line <= lines);
      if (item.kind === "object") return item.object.kind;
      if (item.kind === "skipped") return "skipped";
      assert.ok(item.problems.length > 0);
      const [problem] = item.problems;
      return `refused ${problem?.path.replace(/\[.*?\]/g, "")} ${problem?.reason.replace(/".*"|\d+/gs, "")}`;
    })
    .join(",")
    .slice(0, 100);
}

function run(input: Buffer): string {
  const text = input.toString("utf8");
  try {
    parseLocalConfig(text);
  } catch (thrown) {
    assert.ok(thrown instanceof Error && !(thrown instanceof TypeError), String(thrown));
  }
  return splitDocuments(text)
    .map(({ text: part, firstLine }) => runDocument(part, firstLine))
    .slice(0, 4)
    .join(";");
}

/** One document of each kind and shape that stands in the golden cases. */
function documents(): readonly Buffer[] {
  const root = join(import.meta.dirname, "..", "golden");
  const seen = new Map<string, string>();
  for (const path of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith("input.yaml")) continue;
    for (const { text } of splitDocuments(readFileSync(join(root, path), "utf8"))) {
      const shape = text.replace(/: .*/g, ":");
      if (text.length < 1500 && !seen.has(shape)) seen.set(shape, text);
    }
  }
  return [...seen.values()].map((text) => Buffer.from(text));
}

fuzz({
  name: "objects",
  run,
  seeds: documents(),
  dictionary: [
    "\n---\n",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "null",
    "{}",
    "[]",
    "|\n",
    "\t",
    "~",
    "0x10",
    "1e400",
    "__proto__: ",
    "\n  ",
  ],
  maxBytes: 3000,
});
