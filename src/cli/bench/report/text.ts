/** Numbers and columns for people. Pure. */
import type { Figure } from "../figures.ts";
import type { Unit } from "../spec.ts";

/** Whether more of it is better. */
export function moreIsBetter(unit: Unit): boolean {
  return unit === "Gbit/s" || unit === "1/s";
}

export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value >= 10_000) return `${formatValue(value / 1_000)}k`;
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Whether more (↑) or less (↓) of it is better. */
export function arrowOf(unit: Unit): string {
  return moreIsBetter(unit) ? "↑" : "↓";
}

/** Median, and how far the rounds lie apart. */
export function formatFigure(figure: Figure): string {
  const range = formatRange(figure);
  return `${formatValue(figure.median)}${range === undefined ? "" : ` [${range}]`}`;
}

/** From the lowest to the highest round; undefined of a single one. */
export function formatRange({ lowest, highest, values }: Figure): string | undefined {
  return values.length < 2 ? undefined : `${formatValue(lowest)}..${formatValue(highest)}`;
}

/** The same, shorter: the farther end of the spread in percent of the median. */
export function formatShort({ median, lowest, highest, values }: Figure): string {
  if (values.length < 2 || median === 0) return formatValue(median);
  const spread = Math.max(highest - median, median - lowest) / Math.abs(median);
  return `${formatValue(median)} ±${Math.round(spread * 100)}%`;
}

/** Rows of cells as lines: the first cell to the left, the others to the right. */
export function alignColumns(rows: readonly (readonly string[])[], indent = "  "): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    return `${indent}${cells.join("   ")}`.trimEnd();
  });
}
