/** Two versions of ambit side by side: what changed by more than the rounds differ among themselves. Pure. */
import { type Comparison, compare, labelOf, type StackFigures } from "../figures.ts";
import { isSideFigure, verdictOf } from "./ratios.ts";
import { alignColumns, formatFigure } from "./text.ts";

/** Changes first, then all. How busy load generators are is neither good nor bad. */
export function renderVersions(before: StackFigures, now: StackFigures): string {
  const comparisons = compare(before, now).filter(
    ({ base, unit }) => !(isSideFigure(base) && unit === "cores"),
  );
  const row = (comparison: Comparison): readonly string[] => {
    const { key, unit, base, other, ratio } = comparison;
    return [
      `${key.replace("/", " ")} (${unit})`,
      `${ratio.toFixed(2)}x`,
      verdictOf(comparison),
      formatFigure(base),
      formatFigure(other),
    ];
  };
  const changed = comparisons.filter((comparison) => verdictOf(comparison) !== "same");
  const head = ["", "", "", before.variant, now.variant];
  return [
    `${labelOf(before)} against ${now.variant}: ${changed.length} of ${comparisons.length} figures changed beyond the spread of the rounds`,
    ...alignColumns(changed.map(row)),
    "",
    "all",
    ...alignColumns([head, ...comparisons.map(row)]),
    "",
  ].join("\n");
}
