/** Two versions of ambit side by side: what changed by more than the rounds differ among themselves. Pure. */
import { type Comparison, compare, type StackFigures } from "../figures.ts";
import { formatFigure, formatValue, moreIsBetter } from "./text.ts";

/** "same" is what noise may explain. */
export function verdictOf({ unit, ratio, beyondNoise }: Comparison): "better" | "worse" | "same" {
  if (!beyondNoise) return "same";
  return ratio > 1 === moreIsBetter(unit) ? "better" : "worse";
}

export function renderVersions(before: StackFigures, now: StackFigures): string {
  const comparisons = compare(before, now);
  const rows = comparisons.map((comparison) => {
    const { key, unit, base, other, ratio } = comparison;
    return `  ${key.padEnd(30)} ${formatFigure(base).padEnd(26)} ${formatFigure(other).padEnd(26)} ${formatValue(ratio)}x ${verdictOf(comparison)} (${unit})`;
  });
  const changed = comparisons.filter((comparison) => verdictOf(comparison) !== "same").length;
  return [
    `${before.variant} against ${now.variant}: ${changed} of ${comparisons.length} figures changed beyond the spread of the rounds`,
    ...rows,
    "",
  ].join("\n");
}
