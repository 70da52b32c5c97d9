import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { variables } from "../../../src/waypoint/variables.ts";

const page = resolve(import.meta.dirname, "../../../docs/waypoint.md");

function durationText(ms: number): string {
  for (const [unit, size] of [
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ] as const)
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  return `${ms}ms`;
}

function defaultText(key: string, value: unknown): string {
  if (value === undefined) return "not set";
  if (value === "") return "empty";
  return `\`${key.endsWith("Ms") ? durationText(Number(value)) : String(value)}\``;
}

function table(): string {
  const rows = Object.entries(variables).map(([key, { names, fallback, reason }]) => {
    const name = names.map((each) => `\`${each}\``).join(", then ");
    return `| ${name} | ${defaultText(key, fallback)} | ${reason} |`;
  });
  return `<!-- settings -->\n\n| Variable | Default | What it does |\n|---|---|---|\n${rows.join("\n")}\n\n<!-- /settings -->`;
}

test("docs/waypoint.md lists every variable as it is", () => {
  const text = readFileSync(page, "utf8");
  const wanted = text.replace(/<!-- settings -->.*<!-- \/settings -->/s, () => table());
  if (process.env["UPDATE"] === "1") writeFileSync(page, wanted);
  assert.equal(readFileSync(page, "utf8"), wanted);
});
