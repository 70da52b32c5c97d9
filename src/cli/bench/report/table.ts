/** The report for a terminal: ratios first, then what they are ratios of. Pure. */
import { labelOf, type StackFigures } from "../figures.ts";
import { besideNames, type LoadName, loadNames, loadTitles } from "../spec.ts";
import {
  absentOf,
  contentFigures,
  costHead,
  costPerObject,
  costRows,
  findFigure,
  hasLoad,
  mainStacks,
  sizedStacks,
} from "./derive.ts";
import { limitHead, limitOf, limitRows } from "./limits.ts";
import { microTable } from "./micro.ts";
import { figureNames, formatRatio, ratiosOf } from "./ratios.ts";
import type { Report } from "./report.ts";
import { alignColumns, formatShort, formatValue } from "./text.ts";

export function renderTable(report: Report): string {
  const main = mainStacks(report.stacks);
  const blocks = [
    headLines(report),
    ratioLines(report, main),
    ...loadNames.map((load) => loadLines(load, main)),
    ...besideNames.map((load) => besideLines(load, main)),
    costLines(main),
    limitLines(main),
    pauseLines(main),
    contentLines(report.stacks),
    objectLines(report.stacks),
    microLines(report),
    endLines(report),
  ];
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function headLines({
  environment,
  takenAt,
  rounds,
  secondsPerLoad,
  warmUpMs,
}: Report): readonly string[] {
  const spread = rounds > 1 ? "; medians ±spread" : "; one round says nothing about the spread";
  return [
    `ambit bench, ${takenAt}: ${rounds} x ${secondsPerLoad} s a load after ${warmUpMs / 1_000} s of it to warm up${spread}`,
    `${environment.cores} x ${environment.cpu}, ${environment.memoryGb} GB, Linux ${environment.kernel}, Node ${environment.node}; load before: ${formatValue(environment.loadBefore)}`,
    ...environment.tools.map((tool) => `  ${tool}`),
  ];
}

function ratioLines({ rounds }: Report, main: readonly StackFigures[]): readonly string[] {
  const { columns, rows } = ratiosOf(main);
  if (rows.length === 0) return [];
  return [
    `ratios${rounds > 1 ? " (~: the rounds of both overlap)" : ""}`,
    ...alignColumns([
      ["", ...columns.map(({ of }) => `${labelOf(of)} :`)],
      ["", ...columns.map(({ to }) => labelOf(to))],
      ...rows.map(({ key, load, figure, unit }) => [
        `${load} ${figure} (${unit})`,
        ...columns.map(({ byKey }) => formatRatio(byKey.get(key), rounds)),
      ]),
    ]),
  ];
}

function unitOf(stacks: readonly StackFigures[], load: string, name: string): string {
  const units = stacks.map((stack) => findFigure(stack, load, name)?.unit);
  return units.find((unit) => unit !== undefined) ?? "";
}

/** A row a stack, a column a figure; "!" marks what may be the load generator's limit. */
function loadLines(load: LoadName, main: readonly StackFigures[]): readonly string[] {
  const names = figureNames(main, load);
  if (names.length === 0) return [];
  const rows = main.flatMap((stack) => {
    const figures = names.map((name) => findFigure(stack, load, name));
    if (figures.every((figure) => figure === undefined)) return [];
    const mark = limitOf(stack, main, load) === undefined ? "" : " !";
    const cells = figures.map((figure, index) =>
      figure === undefined ? "-" : `${formatShort(figure)}${index === 0 ? mark : ""}`,
    );
    return [[labelOf(stack), ...cells]];
  });
  const head = names.map((name) => headOf(name, unitOf(main, load, name)));
  return [`${load}: ${loadTitles[load]}`, ...alignColumns([["", ...head], ...rows])];
}

/** "CPU us CPU/request" says one word twice. */
function headOf(name: string, unit: string): string {
  return name.startsWith("CPU") ? `${name}, ${unit.replace(" CPU", "")}` : `${name}, ${unit}`;
}

/** A row a figure, a column a stack. */
function besideLines(load: string, main: readonly StackFigures[]): readonly string[] {
  const names = figureNames(main, load);
  if (names.length === 0) return [];
  const stacks = main.filter((stack) => hasLoad(stack, load));
  const rows = names.map((name) => [
    headOf(name, unitOf(main, load, name)),
    ...stacks.map((stack) => {
      const figure = findFigure(stack, load, name);
      return figure === undefined ? "-" : formatShort(figure);
    }),
  ]);
  return [load, ...alignColumns([["", ...stacks.map(labelOf)], ...rows])];
}

function costLines(main: readonly StackFigures[]): readonly string[] {
  const rows = costRows(main);
  if (rows.length === 0) return [];
  return [
    "cost of 1000 requests a second of 1 KB (the columns of Istio's page)",
    ...alignColumns([costHead, ...rows]),
  ];
}

function limitLines(main: readonly StackFigures[]): readonly string[] {
  const limits = limitRows(main);
  if (limits.length === 0) return [];
  const marks = loadNames.flatMap((load) =>
    main.flatMap((stack) => {
      const why = limitOf(stack, main, load);
      return why === undefined ? [] : [`  ! ${load}, ${labelOf(stack)}: ${why}`];
    }),
  );
  return [
    "what load generators and servers do by themselves (no mesh); what is near it is marked with !",
    ...alignColumns([["", ...limitHead], ...limits]),
    ...marks,
  ];
}

function pauseLines(main: readonly StackFigures[]): readonly string[] {
  const rows = loadNames.flatMap((load) => {
    const cells = main.map((stack) => {
      const longest = findFigure(stack, load, "GC, longest pause");
      const share = findFigure(stack, load, "GC, all pauses");
      if (longest === undefined || share === undefined) return "";
      return `${formatValue(longest.median)} ms, ${formatValue(share.median)} %`;
    });
    return cells.every((cell) => cell === "") ? [] : [[load, ...cells]];
  });
  if (rows.length === 0) return [];
  const used = main.map((_, column) => rows.some((row) => row[column + 1] !== ""));
  const kept = (row: readonly string[]): readonly string[] =>
    row.filter((_, column) => column === 0 || used[column - 1]);
  return [
    "GC pauses in the processes of the data path: the longest of any, and of all in percent of the time",
    ...alignColumns([["", ...main.map(labelOf)], ...rows].map(kept)),
  ];
}

/** ambit in meshes of other sizes, and in the small one. */
function contentLines(stacks: readonly StackFigures[]): readonly string[] {
  const sized = sizedStacks(stacks);
  if (sized.length < 2) return [];
  const each = sized.map(({ stack }) => stack);
  return [
    "ambit in larger meshes",
    ...alignColumns([
      ["policies", ...sized.map(({ content }) => String(content.policies))],
      ["workloads", ...sized.map(({ content }) => String(content.workloads))],
      ...contentFigures.map(([load, figure]) => [
        `${load} ${headOf(figure, unitOf(each, load, figure))}`,
        ...sized.map(({ stack }) => {
          const found = findFigure(stack, load, figure);
          return found === undefined ? "-" : formatShort(found);
        }),
      ]),
    ]),
  ];
}

function objectLines(stacks: readonly StackFigures[]): readonly string[] {
  const rows = costPerObject(stacks).flatMap(({ label, object, roles }) =>
    roles.map(({ name, memoryKb, startCpuUs }) => [
      `${label}: each ${object} in the ${name}`,
      `${formatValue(memoryKb)} KB`,
      startCpuUs === undefined ? "-" : `${formatValue(startCpuUs)} us CPU to start`,
    ]),
  );
  return rows.length === 0 ? [] : ["cost of one more object", ...alignColumns(rows)];
}

function microLines({ micro }: Report): readonly string[] {
  if (micro.length === 0) return [];
  return ["single functions", microTable(micro).trimEnd()];
}

function endLines(report: Report): readonly string[] {
  const { command, tookSeconds } = report;
  return [
    ...absentOf(report).map(({ what, reason }) => `not measured: ${what}: ${reason}`),
    `took ${tookSeconds} s; again: ${command}`,
  ];
}
