/** Asserts that something has at least what is expected, however much more it has. */
import assert from "node:assert/strict";

export function assertHas(actual: unknown, expected: unknown, path = "value"): void {
  if (typeof expected !== "object" || expected === null) {
    assert.deepEqual(actual, expected, path);
    return;
  }
  assert.ok(typeof actual === "object" && actual !== null, `${path} is ${String(actual)}`);
  for (const [key, part] of Object.entries(expected))
    assertHas(Reflect.get(actual, key), part, `${path}.${key}`);
}
