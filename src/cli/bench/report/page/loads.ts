/** What was found under each load: the chief figures as plots, all of them as a table. Pure. */
import { labelOf, type StackFigures } from "../../figures.ts";
import { type BesideName, type LoadName, titleOf } from "../../spec.ts";
import { commandForLoad } from "../commands.ts";
import { findFigure, hasLoad } from "../derive.ts";
import { limitOf } from "../limits.ts";
import { figureNames, isSideFigure } from "../ratios.ts";
import type { Report } from "../report.ts";
import { formatRange, formatValue } from "../text.ts";
import { escapeHtml, type Section, table } from "./elements.ts";
import { type Bar, plot, plotGrid } from "./plot.ts";

const plotted: ReadonlySet<string> = new Set([
  "rate",
  "throughput",
  "p50",
  "p99",
  "CPU",
  "CPU, waypoint",
  "memory",
  "data path, idle",
  "data path, loaded",
  "ready",
  "effect",
  "GC, longest pause",
]);

/** What is as it was set says nothing, nor does what is next to none. */
function isPlotted(load: string, figure: string): boolean {
  if (load.startsWith("rate-") && figure === "rate") return false;
  return plotted.has(figure) && !(load === "idle" && figure === "CPU");
}

export function loadSection(
  report: Report,
  load: LoadName | BesideName,
  main: readonly StackFigures[],
): Section {
  const stacks = main.filter((stack) => hasLoad(stack, load));
  const names = [...figureNames(stacks, load), ...sideNames(stacks, load)];
  const bars = (name: string, index: number): readonly Bar[] =>
    stacks.flatMap((stack): Bar[] => {
      const figure = findFigure(stack, load, name);
      if (figure === undefined) return [];
      const limit = index === 0 ? limitOf(stack, main, load) : undefined;
      return [{ label: labelOf(stack), kind: stack.stack, figure, limit }];
    });
  const plots = names.flatMap((name, index) =>
    isPlotted(load, name) ? [plot(name, bars(name, index))] : [],
  );
  const marks = stacks.flatMap((stack) => {
    const limit = limitOf(stack, main, load);
    return limit === undefined
      ? []
      : [`<p><small>! ${escapeHtml(`${labelOf(stack)}: ${limit}`)}</small></p>`];
  });
  return {
    id: load,
    title: load,
    text: load === "idle" ? `${report.idleConnections} ${titleOf(load)}` : titleOf(load),
    command: commandForLoad(report, load),
    body: plotGrid(plots) + marks.join("") + allFigures(stacks, load, names),
  };
}

function sideNames(stacks: readonly StackFigures[], load: string): readonly string[] {
  const side = stacks.flatMap(({ figures }) =>
    figures.filter((each) => each.load === load && isSideFigure(each)),
  );
  return [...new Set(side.map(({ figure }) => figure))];
}

function allFigures(
  stacks: readonly StackFigures[],
  load: string,
  names: readonly string[],
): string {
  const rows = names.map((name) => {
    const figures = stacks.map((stack) => findFigure(stack, load, name));
    const unit = figures.find((figure) => figure !== undefined)?.unit;
    return [
      { text: name, below: unit },
      ...figures.map((figure) =>
        figure === undefined
          ? "-"
          : { text: formatValue(figure.median), below: formatRange(figure) },
      ),
    ];
  });
  if (rows.length === 0) return "";
  return `<details><summary>all figures</summary>${table(["", ...stacks.map(labelOf)], rows)}</details>`;
}
