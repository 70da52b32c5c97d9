import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { test } from "node:test";

/** Who may not import whom, and why. The reason is what a developer reads when the test fails. */
const forbidden: readonly (readonly [from: RegExp, to: RegExp, why: string])[] = [
  [
    /^src\/shared\//,
    /^src\/(ztunnel|waypoint|controlplane|nodeagent|cli)\//,
    "shared code is role-neutral",
  ],
  [/^src\/shared\/base\//, /^src\/(?!shared\/base\/)/, "base is the bottom layer"],
  [
    /^src\/ztunnel\//,
    /^src\/(waypoint|controlplane|nodeagent|cli)\//,
    "roles meet only over the wire",
  ],
  [
    /^src\/waypoint\//,
    /^src\/(ztunnel|controlplane|nodeagent|cli)\//,
    "roles meet only over the wire",
  ],
  [
    /^src\/nodeagent\//,
    /^src\/(ztunnel|waypoint|controlplane|cli)\//,
    "roles meet only over the wire",
  ],
  [
    /^src\/controlplane\//,
    /^src\/(ztunnel|waypoint|nodeagent|cli)\//,
    "roles meet only over the wire",
  ],
];

const root = resolve(import.meta.dirname, "../..");
const files = readdirSync(resolve(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => `src/${name}`);

const edges = files.flatMap((file) => {
  const text = readFileSync(resolve(root, file), "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map(
    (m) => [file, relative(root, resolve(root, dirname(file), m[1] ?? ""))] as const,
  );
});

// A boundary check that scans nothing passes everything, so the scan itself is asserted first.
test("the scan sees the code base", () => {
  assert.ok(files.length >= 3, `only ${files.length} source files found`);
  assert.ok(edges.length >= 1, `only ${edges.length} import edges found`);
});

for (const [from, to, why] of forbidden) {
  test(`${from.source} imports nothing from ${to.source}: ${why}`, () => {
    assert.deepEqual(
      edges.filter(([source, target]) => from.test(source) && to.test(target)),
      [],
    );
  });
}
