/** Objects from YAML text, as a file would give them. */
import assert from "node:assert/strict";
import {
  emptyContent,
  mergeContents,
  updateContent,
} from "../../src/shared/objects/file/content.ts";
import type { ObjectSnapshot } from "../../src/shared/objects/source.ts";

/** Fails when anything in the text is refused. */
export function snapshotOf(text: string, revision = 1): ObjectSnapshot {
  const content = updateContent(emptyContent("test.yaml"), text);
  assert.deepEqual(content.problems, []);
  return { revision, objects: mergeContents([content]).objects, problems: [], skipped: [] };
}
