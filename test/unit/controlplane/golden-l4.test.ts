/**
 * Further meshes of our own, each about one group of rules, with what the reference's translation makes of them. Where we
 * differ on purpose (docs/differences.md) the inputs leave the case out.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type { JsonValue } from "@bufbuild/protobuf";
import { type Resources, sentAddresses, sentPolicies, sorted } from "../../support/golden.ts";
import { translate } from "../../support/translate.ts";

const root = resolve(import.meta.dirname, "../../golden-l4");
const cases = readdirSync(root);

interface RecordedResource {
  readonly name: string;
  readonly resource: Readonly<Record<string, JsonValue>>;
}

function recorded(name: string, type: string): Resources {
  const text = readFileSync(join(root, name, "ztunnel", `${type}.json`), "utf8");
  const rows: readonly RecordedResource[] = JSON.parse(text);
  return sorted(rows.map(({ name: key, resource: { "@type": _, ...body } }) => [key, body]));
}

test("the cases are all here", () => {
  assert.equal(cases.length, 19);
});

for (const name of cases)
  test(`${name}: addresses and policies equal the reference's`, () => {
    const state = translate(readFileSync(join(root, name, "input.yaml"), "utf8"));
    assert.deepEqual(sentAddresses(state), recorded(name, "Address"));
    assert.deepEqual(sentPolicies(state), recorded(name, "Authorization"));
  });
