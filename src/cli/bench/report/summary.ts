/** The chief figures as a page in Markdown, for a report that is kept with the project. Pure. */
import { labelOf } from "../figures.ts";
import { besideNames, loadNames, stackTitles, titleOf } from "../spec.ts";
import { absentOf, costHead, costRows, findFigure, hasLoad, mainStacks } from "./derive.ts";
import { formatRatio, type RatioColumn, type RatioRow, ratiosOf, verdictOf } from "./ratios.ts";
import type { Report } from "./report.ts";
import { arrowOf, formatFigure, formatValue } from "./text.ts";

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

function titleOfRow({ load, figure, unit }: RatioRow): string {
  return `${load} ${figure} (${unit} ${arrowOf(unit)})`;
}

/** Bold where it is worse than the alternative beyond the spread; every mesh is worse than none. */
function ratioCell({ to, byKey }: RatioColumn, key: string, rounds: number): string {
  const comparison = byKey.get(key);
  const text = formatRatio(comparison, rounds);
  if (comparison === undefined || rounds < 2 || to.stack === "direct") return text;
  return verdictOf(comparison) === "worse" ? `**${text}**` : text;
}

export function renderSummary(report: Report): string {
  const { environment, rounds } = report;
  const main = mainStacks(report.stacks);
  const { columns, rows } = ratiosOf(main);
  return [
    "# Report of the benchmark",
    "",
    `${report.takenAt}; ${environment.cores} x ${environment.cpu}, ${environment.memoryGb} GB, Linux ${environment.kernel}, Node ${environment.node}; load before: ${formatValue(environment.loadBefore)}.`,
    `${rounds} rounds of ${report.secondsPerLoad} s a load. Made by \`${report.command}\`; everything is in report.json, drawn in report.html.`,
    "",
    ...[...new Set(main.map(({ stack }) => stack))].map(
      (stack) => `- **${stack}**: ${stackTitles[stack]}`,
    ),
    ...absentOf(report).map(({ what, reason }) => `- not measured: ${what}: ${reason}`),
    "",
    "## Ratios",
    "",
    `Of medians; ↑ more is better, ↓ less is better${rounds > 1 ? "; `~` where the rounds of both overlap, bold where it is worse than the alternative by more than that" : ""}.`,
    "",
    ...tableOf(
      ["", ...columns.map(({ of, to }) => `${labelOf(of)} : ${labelOf(to)}`)],
      rows.map((row) => [
        titleOfRow(row),
        ...columns.map((column) => ratioCell(column, row.key, rounds)),
      ]),
    ),
    "",
    "## Figures",
    "",
    "Medians, with the lowest and the highest round.",
    "",
    ...tableOf(
      ["", ...main.map(labelOf)],
      rows.map((row) => [
        titleOfRow(row),
        ...main.map((stack) => {
          const found = findFigure(stack, row.load, row.figure);
          return found === undefined ? "-" : formatFigure(found);
        }),
      ]),
    ),
    "",
    ...[...loadNames, ...besideNames]
      .filter((load) => main.some((stack) => hasLoad(stack, load)))
      .map((load) => `- ${load}: ${titleOf(load)}`),
    "",
    "## Cost of 1000 requests a second of 1 KB",
    "",
    ...tableOf(costHead, costRows(main)),
    "",
  ].join("\n");
}
