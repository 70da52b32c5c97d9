/** The watching source on a real file system. */
import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { openFileSource } from "../../../../src/shared/objects/file/source.ts";
import type { ObjectChange, ObjectSource } from "../../../../src/shared/objects/source.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";

const options = { quietMs: 10, patienceMs: 100, pollMs: 150 };
const pod = (name: string, app = "a") =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, labels: { app: ${app} } }\n`;

let dir: string;
let source: ObjectSource | undefined;
let lines: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ambit-source-"));
  lines = [];
});
afterEach(() => {
  source?.close();
  rmSync(dir, { recursive: true });
});

async function open(path: string): Promise<ObjectSource> {
  const log = createLogger(
    {
      clock: systemClock,
      filter: new LogFilter("info"),
      format: "plain",
      write: (line) => lines.push(line),
    },
    "source",
  );
  source = await openFileSource({ clock: systemClock, log }, path, options);
  return source;
}

function nextChange(from: ObjectSource): Promise<ObjectChange> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no change in time")), 3000);
    const stop = from.onChange((_snapshot, change) => {
      clearTimeout(timer);
      stop();
      resolve(change);
    });
  });
}

const namesOf = (change: ObjectChange) => [
  change.upserted.map(({ metadata }) => metadata.name),
  change.removed.map(({ metadata }) => metadata.name),
];

test("a folder: files come, change and go, hidden and other files do not count", async () => {
  writeFileSync(join(dir, "a.yaml"), pod("a"));
  writeFileSync(join(dir, ".hidden.yaml"), pod("hidden"));
  writeFileSync(join(dir, "notes.txt"), "no: [yaml");
  const from = await open(dir);
  assert.deepEqual([...from.snapshot.objects.keys()], ["Pod/default/a"]);
  let change = nextChange(from);
  writeFileSync(
    join(dir, "b.json"),
    JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "b" } }),
  );
  assert.deepEqual(namesOf(await change), [["b"], []]);
  change = nextChange(from);
  writeFileSync(join(dir, "a.yaml"), pod("a", "new"));
  assert.deepEqual(namesOf(await change), [["a"], []]);
  change = nextChange(from);
  mkdirSync(join(dir, "sub"));
  writeFileSync(join(dir, "sub", "c.yml"), pod("c"));
  assert.deepEqual(namesOf(await change), [["c"], []]);
  change = nextChange(from);
  unlinkSync(join(dir, "a.yaml"));
  assert.deepEqual(namesOf(await change), [[], ["a"]]);
});

test("a single file replaced by rename, again and again", async () => {
  const file = join(dir, "all.yaml");
  writeFileSync(file, pod("p0"));
  const from = await open(file);
  for (let round = 1; round <= 3; round++) {
    const change = nextChange(from);
    writeFileSync(join(dir, "all.yaml.tmp"), pod(`p${round}`));
    renameSync(join(dir, "all.yaml.tmp"), file);
    assert.deepEqual(namesOf(await change), [[`p${round}`], [`p${round - 1}`]]);
  }
});

test("a mounted configuration is swapped by its link", async () => {
  for (const [name, text] of [
    ["v1", pod("one")],
    ["v2", pod("two")],
  ] as const) {
    mkdirSync(join(dir, `..${name}`));
    writeFileSync(join(dir, `..${name}`, "objects.yaml"), text);
  }
  symlinkSync("..v1", join(dir, "..data"));
  symlinkSync("..data/objects.yaml", join(dir, "objects.yaml"));
  const from = await open(dir);
  const change = nextChange(from);
  symlinkSync("..v2", join(dir, "..data_tmp"));
  renameSync(join(dir, "..data_tmp"), join(dir, "..data"));
  assert.deepEqual(namesOf(await change), [["two"], ["one"]]);
});

test("a vanished root keeps the last state and is noticed when it returns", async () => {
  const folder = join(dir, "objects");
  mkdirSync(folder);
  writeFileSync(join(folder, "a.yaml"), pod("a"));
  const from = await open(folder);
  const gone = nextChange(from);
  renameSync(folder, join(dir, "away"));
  await gone;
  assert.equal(from.snapshot.objects.size, 1);
  assert.equal(from.snapshot.problems[0]?.kept, true);
  const back = nextChange(from);
  mkdirSync(folder);
  writeFileSync(join(folder, "a.yaml"), pod("a", "new"));
  await back;
  const deadline = Date.now() + 3000;
  while (from.snapshot.problems.length > 0 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(from.snapshot.problems, []);
});

test("a broken file is logged once, with its place", async () => {
  const file = join(dir, "a.yaml");
  writeFileSync(file, pod("a"));
  const from = await open(dir);
  const change = nextChange(from);
  writeFileSync(file, `${pod("a")}---\nx: [\n`);
  await change;
  await new Promise((resolve) => setTimeout(resolve, 400));
  const warnings = lines.filter((line) => line.includes("a.yaml:"));
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /the last good state stays in force/);
});

test("a path that does not exist is refused at once", async () => {
  await assert.rejects(open(join(dir, "nowhere")), /Cannot read objects from/);
});
