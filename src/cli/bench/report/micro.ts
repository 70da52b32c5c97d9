/** The micro-benchmarks as rows. Pure. */
import { median } from "../figures.ts";
import type { MicroFigure } from "../micro/measure.ts";
import { alignColumns, formatValue } from "./text.ts";

export const microHead = ["", "ns/operation", "lowest..highest", "heap bytes/operation"] as const;

export function microRow({
  subject,
  name,
  nsPerOperation,
  bytesPerOperation,
}: MicroFigure): readonly string[] {
  const [lowest, highest] = [nsPerOperation[0] ?? Number.NaN, nsPerOperation.at(-1) ?? Number.NaN];
  return [
    `${subject}: ${name}`,
    formatValue(median(nsPerOperation)),
    `${formatValue(lowest)}..${formatValue(highest)}`,
    String(Math.round(bytesPerOperation)),
  ];
}

export function microTable(figures: readonly MicroFigure[]): string {
  return `${alignColumns([microHead, ...figures.map(microRow)]).join("\n")}\n`;
}
