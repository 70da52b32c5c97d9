/** The answer to "what does it cost me": the chief ratios in short, and all of them. Pure. */
import { figureKey, labelOf, type StackFigures } from "../../figures.ts";
import { type StackName, titleOf } from "../../spec.ts";
import { costColumns, mainStacks } from "../derive.ts";
import {
  formatRatio,
  formatRatioRange,
  type RatioColumn,
  type RatioRow,
  ratiosOf,
  verdictOf,
} from "../ratios.ts";
import type { Report } from "../report.ts";
import { arrowOf, formatRange, formatValue } from "../text.ts";
import { type Cell, escapeHtml, type Row, type Section, table } from "./elements.ts";

/** What people ask first, in their words. */
const questions: readonly (readonly [key: string, text: string])[] = [
  ["http-1/p50", "1 KB request, 1 client: p50"],
  ["http-1/p99", "1 KB request, 1 client: p99"],
  ["http-32/rate", "requests, 32 clients"],
  ["http-32/p99", "1 KB request, 32 clients: p99"],
  ["http-32/CPU", "CPU, 32 clients"],
  ["bulk-1/throughput", "throughput, one stream"],
  ["bulk-1/CPU", "CPU, one stream"],
  ["connections/rate", "new connections"],
  ["connections/CPU", "CPU, new connections"],
  ["memory/data path, loaded", "memory of all proxies, loaded"],
];

/** What readers call what ambit is compared with. */
const shortNames: Readonly<Partial<Record<StackName, string>>> = {
  direct: "no mesh",
  "ambit-waypoint": "its waypoint",
  "envoy-waypoint": "Envoy waypoint",
  ztunnel: "Istio's ztunnel",
};

function shortName(stack: StackFigures): string {
  return shortNames[stack.stack] ?? labelOf(stack);
}

/** Tinted where it says something: every mesh is worse than none, and one round does not tell noise from difference. */
function ratioCell({ to, byKey }: RatioColumn, key: string, rounds: number): Cell {
  const comparison = byKey.get(key);
  if (comparison === undefined) return { text: "-" };
  const verdict = verdictOf(comparison);
  const tinted = rounds > 1 && to.stack !== "direct";
  return {
    text: `${formatRatio(comparison, rounds)}×`,
    below: formatRatioRange(comparison),
    ...(tinted && verdict !== "same" ? { kind: verdict } : {}),
  };
}

function valueCell({ figures }: StackFigures, key: string): Cell {
  const figure = figures.find((each) => figureKey(each) === key);
  if (figure === undefined) return { text: "-", kind: "first" };
  return { text: formatValue(figure.median), below: formatRange(figure), kind: "first" };
}

function rowTitle(text: string, { unit }: RatioRow): Cell {
  return { text, below: `${unit} ${arrowOf(unit)}` };
}

/** The first screen: ambit's own figures, and beside each how many times that of no mesh and of the alternatives. */
export function inShort(report: Report): string {
  const { rounds } = report;
  const { columns, rows } = ratiosOf(mainStacks(report.stacks));
  const asked = questions.flatMap(([key, text]) => {
    const row = rows.find((each) => each.key === key);
    return row === undefined ? [] : [{ row, text }];
  });
  const groups = (["ambit", "ambit-waypoint"] as const).flatMap((name) => {
    const own = columns.filter(({ of }) => of.stack === name);
    return own[0] === undefined ? [] : [{ name, of: own[0].of, own }];
  });
  if (groups.length === 0) return "";
  const head = groups.flatMap(({ name, own }): Row => {
    const title = name === "ambit" ? "ambit (L4)" : "with waypoint (L7)";
    return [
      { text: title, below: rounds > 1 ? "median" : "", kind: "first" },
      ...own.map(({ to }) => ({ text: "against", below: shortName(to) })),
    ];
  });
  const body = asked.map(
    ({ row, text }): Row => [
      rowTitle(text, row),
      ...groups.flatMap(({ of, own }) => [
        valueCell(of, row.key),
        ...own.map((column) => ratioCell(column, row.key, report.rounds)),
      ]),
    ],
  );
  return table(["", ...head], body);
}

/** How to read ratios. HTML. */
export function ratioLegend({ rounds }: Report): string {
  const direction = "↑ more is better, ↓ less is better.";
  if (rounds < 2) return `One round says nothing about the spread. ${direction}`;
  return `Below each median and each ratio: its range over the rounds; ~ where the rounds of both overlap; <span class="better">better</span> or <span class="worse">worse</span> than the alternative by more than that. ${direction}`;
}

const inSentence: readonly StackName[] = ["ambit", "ambit-waypoint", "sidecars", "ztunnel"];

/** What 1000 requests a second cost, in a sentence; empty where that was not measured. HTML. */
export function leadSentence(report: Report): string {
  const main = mainStacks(report.stacks);
  const parts = inSentence.flatMap((name) => {
    const stack = main.find((each) => each.stack === name && each.variant === "");
    const cost = stack === undefined ? undefined : costColumns(stack);
    if (stack === undefined || cost?.atRate !== true) return [];
    const figures = `${cost.vcpu.toFixed(2)} vCPU, ${formatValue(cost.memoryMb)} MB`;
    return [`<b>${figures}</b> with ${escapeHtml(shortName(stack))}`];
  });
  if (parts.length === 0) return "";
  return `<p class="lead">1000 requests a second of 1 KB cost, in all proxies together: ${parts.join("; ")}.</p>`;
}

/** Every chief ratio, load by load. */
export function allRatios(report: Report): Section {
  const { columns, rows } = ratiosOf(mainStacks(report.stacks));
  const body = rows.flatMap((row, index): readonly Row[] => [
    ...(rows[index - 1]?.load === row.load ? [] : [[`${row.load}: ${titleOf(row.load)}`]]),
    [
      rowTitle(row.figure, row),
      ...columns.map((column) => ratioCell(column, row.key, report.rounds)),
    ],
  ]);
  const head = columns.map(({ of, to }) => ({ text: `${labelOf(of)} :`, below: labelOf(to) }));
  return {
    id: "ratios",
    title: "All ratios",
    text: "of the first to the second",
    command: report.command,
    body: table(["", ...head], body),
  };
}
