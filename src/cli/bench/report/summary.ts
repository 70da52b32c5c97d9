/** The chief figures as a page in Markdown, for a report that is kept with the project. Pure. */
import { figureKey, labelOf } from "../figures.ts";
import { loadNames, loadTitles, stackTitles } from "../spec.ts";
import { costColumns, findFigure, mainStacks } from "./derive.ts";
import { formatRatio, ratiosOf } from "./ratios.ts";
import type { Report } from "./report.ts";
import { formatFigure, formatValue } from "./text.ts";

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  return [row(head), row(head.map(() => "---")), ...rows.map(row)];
}

export function renderSummary(report: Report): string {
  const { environment, rounds } = report;
  const main = mainStacks(report.stacks);
  const { columns, rows } = ratiosOf(main);
  const costs = main.flatMap((stack) => {
    const cost = costColumns(stack);
    return cost === undefined
      ? []
      : [[labelOf(stack), cost.vcpu.toFixed(3), formatValue(cost.memoryMb)]];
  });
  return [
    "# Report of the benchmark",
    "",
    `${report.takenAt}; ${environment.cores} x ${environment.cpu}, ${environment.memoryGb} GB, Linux ${environment.kernel}, Node ${environment.node}.`,
    `${rounds} rounds of ${report.secondsPerLoad} s a load. Made by \`${report.command}\`; everything is in report.json, drawn in report.html.`,
    "",
    ...[...new Set(main.map(({ stack }) => stack))].map(
      (stack) => `- **${stack}**: ${stackTitles[stack]}`,
    ),
    ...report.absent.map(({ what, reason }) => `- not measured: ${what}: ${reason}`),
    "",
    "## Ratios",
    "",
    `Of medians${rounds > 1 ? "; `~` where the rounds of both overlap" : ""}.`,
    "",
    ...tableOf(
      ["", ...columns.map(({ title }) => title)],
      rows.map(({ key, unit }) => [
        `${key.replace("/", " ")} (${unit})`,
        ...columns.map(({ byKey }) => formatRatio(byKey.get(key), rounds)),
      ]),
    ),
    "",
    "## Figures",
    "",
    "Medians, with the lowest and the highest round.",
    "",
    ...tableOf(
      ["", ...main.map(labelOf)],
      rows.map(({ key, unit }) => [
        `${key.replace("/", " ")} (${unit})`,
        ...main.map(({ figures }) => {
          const found = figures.find((figure) => figureKey(figure) === key);
          return found === undefined ? "-" : formatFigure(found);
        }),
      ]),
    ),
    "",
    ...loadNames
      .filter((load) => main.some((stack) => findFigure(stack, load, "rate")))
      .map((load) => `- ${load}: ${loadTitles[load]}`),
    "",
    "## Cost of 1000 requests a second of 1 KB",
    "",
    ...tableOf(["all proxies on the way", "vCPU", "MB"], costs),
    "",
  ].join("\n");
}
