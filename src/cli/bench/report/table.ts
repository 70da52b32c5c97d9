/** The report for a terminal: ratios first, then what they are ratios of. Pure. */
import { type Figure, figureKey, labelOf, type StackFigures } from "../figures.ts";
import { loadNames, loadTitles, type Unit } from "../spec.ts";
import { costColumns } from "./derive.ts";
import type { Report } from "./report.ts";

/** Whether more of it is better. */
export function moreIsBetter(unit: Unit): boolean {
  return unit === "Gbit/s" || unit === "1/s";
}

export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value >= 1_000) return String(Math.round(value));
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Median, and how far the rounds lie apart. */
export function formatFigure({ median, lowest, highest, values }: Figure): string {
  if (values.length < 2) return formatValue(median);
  return `${formatValue(median)} [${formatValue(lowest)}..${formatValue(highest)}]`;
}

/** The stack that others are set beside: the first of these that was measured. */
export function baseOf(stacks: readonly StackFigures[]): StackFigures | undefined {
  for (const name of ["sidecars", "ztunnel", "direct"] as const) {
    const found = stacks.find(({ stack, variant }) => stack === name && variant === "");
    if (found !== undefined) return found;
  }
  return stacks[0];
}

export function renderTable(report: Report): string {
  const { environment } = report;
  const lines = [
    `ambit bench, ${report.takenAt}: ${report.rounds} rounds of ${report.secondsPerLoad} s a load; medians [lowest..highest]`,
    `${environment.cores} x ${environment.cpu}, ${environment.memoryGb} GB, Linux ${environment.kernel}, Node ${environment.node}; load before: ${formatValue(environment.loadBefore)}`,
    ...environment.tools.map((tool) => `  ${tool}`),
    "",
  ];
  const base = baseOf(report.stacks);
  const main = report.stacks.filter(({ variant }) => !variant.includes("workloads"));
  for (const load of [...loadNames, "memory", "start", "push"]) {
    const rows = rowsOf(load, main, base);
    if (rows.length === 0) continue;
    lines.push(
      load in loadTitles ? `${load}: ${loadTitles[load as keyof typeof loadTitles]}` : load,
    );
    lines.push(...rows, "");
  }
  lines.push(...costLines(main), ...contentLines(report.stacks));
  for (const { what, reason } of report.absent) lines.push(`not measured: ${what}: ${reason}`);
  lines.push(`again: ${report.command}`);
  return `${lines.join("\n")}\n`;
}

function rowsOf(
  load: string,
  stacks: readonly StackFigures[],
  base: StackFigures | undefined,
): readonly string[] {
  const names = [
    ...new Set(
      stacks.flatMap(({ figures }) => figures.filter((f) => f.load === load).map(figureKey)),
    ),
  ];
  return names.flatMap((key) => {
    const from = base?.figures.find((figure) => figureKey(figure) === key);
    const cells = stacks.flatMap((stack) => {
      const figure = stack.figures.find((candidate) => figureKey(candidate) === key);
      if (figure === undefined) return [];
      const ratio =
        from === undefined || stack === base
          ? ""
          : ` (${formatValue(figure.median / from.median)}x)`;
      return [{ label: labelOf(stack), unit: figure.unit, text: formatFigure(figure) + ratio }];
    });
    const [first] = cells;
    if (first === undefined) return [];
    const figureName = key.slice(key.indexOf("/") + 1);
    return [
      `  ${figureName} (${first.unit})`,
      ...cells.map(({ label, text }) => `    ${label.padEnd(22)} ${text}`),
    ];
  });
}

function costLines(stacks: readonly StackFigures[]): readonly string[] {
  const rows = stacks.flatMap((stack) => {
    const cost = costColumns(stack);
    if (cost === undefined) return [];
    return [
      `    ${labelOf(stack).padEnd(22)} ${formatValue(cost.vcpuPer1000Rps)} vCPU, ${formatValue(cost.memoryMb)} MB`,
    ];
  });
  return rows.length === 0
    ? []
    : ["cost of 1000 requests a second of 1 KB (all proxies of the stack)", ...rows, ""];
}

/** ambit in meshes of other sizes. */
function contentLines(stacks: readonly StackFigures[]): readonly string[] {
  const sized = stacks.filter(({ variant }) => variant.includes("workloads"));
  return sized.flatMap((stack) => [
    labelOf(stack),
    ...stack.figures.map(
      (figure) => `    ${figureKey(figure).padEnd(34)} ${formatFigure(figure)} ${figure.unit}`,
    ),
    "",
  ]);
}
