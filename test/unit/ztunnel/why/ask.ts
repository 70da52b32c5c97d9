/** Asks `why` of a golden case's objects, with more objects behind them where a test wants some. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { explainMesh } from "../../../../src/cli/why/offline.ts";
import { offlineMesh } from "../../../../src/controlplane/offline.ts";
import {
  defaultMeshSettings,
  type MeshSettings,
} from "../../../../src/controlplane/translate/settings.ts";
import {
  emptyContent,
  mergeContents,
  updateContent,
} from "../../../../src/shared/objects/file/content.ts";
import type { WhyRecord } from "../../../../src/ztunnel/why/record.ts";

export const goldenRoot = resolve(import.meta.dirname, "../../../golden");

export interface Question {
  /** Name of the golden case whose input is asked. */
  readonly of: string;
  readonly from: string;
  readonly to: string;
  /** YAML documents behind the input. */
  readonly and?: string;
  readonly settings?: Partial<MeshSettings>;
}

export function askWhy({ of, from, to, and = "", settings }: Question): WhyRecord {
  const file = join(goldenRoot, of, "input.yaml");
  const text = `${readFileSync(file, "utf8")}\n---\n${and}`;
  const content = updateContent(emptyContent(file), text);
  assert.deepEqual(content.problems, []);
  const { objects } = mergeContents([content]);
  const mesh = { ...defaultMeshSettings, ...settings };
  const snapshot = { revision: 1, objects, problems: [], skipped: [] };
  return explainMesh(offlineMesh(snapshot, mesh, new Map()), mesh, { from, to });
}
