import assert from "node:assert/strict";
import { test } from "node:test";
import {
  boolean,
  defaulted,
  integer,
  list,
  object,
  oneOf,
  optional,
  type Problem,
  pathText,
  portOrName,
  record,
  required,
  string,
} from "../../../../src/shared/objects/schema.ts";

const schema = object(
  {
    name: required(string),
    size: defaulted(integer(1, 9), 5),
    mode: optional(oneOf("A", "B")),
    tags: defaulted(list(string), []),
    map: defaulted(record(boolean), {}),
    target: optional(portOrName),
  },
  { ignored: ["note"] },
);

function problemsOf(value: unknown): string[] {
  const problems: Problem[] = [];
  schema.decode(value, ["spec"], problems);
  return problems.map(({ path, reason }) => `${pathText(path)}: ${reason}`);
}

test("defaults fill in what is absent or null, and ignored fields vanish", () => {
  const problems: Problem[] = [];
  const decoded = schema.decode({ name: "x", size: null, note: 1 }, [], problems);
  assert.deepEqual(problems, []);
  assert.deepEqual(decoded, { name: "x", size: 5, tags: [], map: {} });
});

const refused: readonly [string, unknown, string][] = [
  ["a missing field", {}, "spec.name: is required"],
  ["an unknown field", { name: "x", nmae: 1 }, "spec.nmae: unknown field"],
  ["a wrong scalar", { name: 7 }, "spec.name: must be a string, found 7"],
  [
    "a number out of range",
    { name: "x", size: 10 },
    "spec.size: must be an integer from 1 to 9, found 10",
  ],
  ["a fraction", { name: "x", size: 1.5 }, "spec.size: must be an integer from 1 to 9, found 1.5"],
  ["an unknown word", { name: "x", mode: "C" }, 'spec.mode: must be one of A, B, found "C"'],
  [
    "an item of a list",
    { name: "x", tags: ["a", true] },
    "spec.tags[1]: must be a string, found true",
  ],
  ["no list", { name: "x", tags: "a" }, 'spec.tags: must be a list, found "a"'],
  [
    "a value of a map",
    { name: "x", map: { "a.b/c": 1 } },
    'spec.map["a.b/c"]: must be true or false, found 1',
  ],
  ["no map", [], "spec: must be a map, found a list"],
  ["inherited names", { name: "x", constructor: 1 }, "spec.constructor: unknown field"],
];

for (const [name, value, expected] of refused)
  test(`refused: ${name}`, () => assert.deepEqual(problemsOf(value), [expected]));

test("every problem is named, not only the first", () => {
  assert.equal(problemsOf({ size: "big", mode: 1, x: 1 }).length, 4);
});
