/** The report as one page that needs no network: bars with the spread of the rounds, drawn as SVG. Pure. */
import { type Figure, labelOf, type StackFigures } from "../figures.ts";
import { variantOf } from "../plan.ts";
import { loadNames, loadTitles, stackTitles } from "../spec.ts";
import { commandForContents, commandForLoad, commandForMicro } from "./commands.ts";
import { costColumns, costPerObject, findFigure, mainStacks, sizedStacks } from "./derive.ts";
import { limitOf, ownLimits } from "./limits.ts";
import { microHead, microRow } from "./micro.ts";
import { pageStyle } from "./page-style.ts";
import { figureNames, formatRatio, isSideFigure, ratiosOf } from "./ratios.ts";
import type { Report } from "./report.ts";
import { formatFigure, formatValue, moreIsBetter } from "./text.ts";

const ROW = 26;
const LEFT = 210;
const WIDTH = 380;
const RIGHT = 230;

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

interface Bar {
  readonly label: string;
  readonly kind: string;
  readonly figure: Figure;
  /** Why it may not be the stack that is measured. */
  readonly limit: string | undefined;
}

function plot(bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ figure }) => figure.highest));
  const x = (value: number): number => LEFT + (most > 0 ? (value / most) * WIDTH : 0);
  const rows = bars.map(({ label, kind, figure, limit }, index) => {
    const y = index * ROW;
    const middle = y + ROW / 2;
    const text = `${formatFigure(figure)}${limit === undefined ? "" : " !"}`;
    return `<text x="${LEFT - 8}" y="${middle + 4}" class="label">${escapeHtml(label)}</text>
<rect x="${LEFT}" y="${y + 5}" width="${Math.max(1, x(figure.median) - LEFT).toFixed(1)}" height="${ROW - 10}" class="bar ${kind}"/>
<line x1="${x(figure.lowest).toFixed(1)}" x2="${x(figure.highest).toFixed(1)}" y1="${middle}" y2="${middle}" class="spread"/>
<text x="${(x(figure.highest) + 8).toFixed(1)}" y="${middle + 4}" class="value">${escapeHtml(text)}</text>`;
  });
  return `<svg viewBox="0 0 ${LEFT + WIDTH + RIGHT} ${bars.length * ROW}" role="img">${rows.join("\n")}</svg>`;
}

function again(command: string): string {
  return `<p class="again"><small>again: <code>${escapeHtml(command)}</code></small></p>`;
}

function table(
  title: string,
  text: string,
  rows: readonly (readonly string[])[],
  command: string,
): string {
  const [head = [], ...body] = rows;
  if (body.length === 0) return "";
  const cells = (row: readonly string[], tag: string): string =>
    `<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
  return `<section><h2>${escapeHtml(title)}</h2><p>${escapeHtml(text)}</p>${again(command)}<div class="wide"><table>${cells(head, "th")}${body.map((row) => cells(row, "td")).join("\n")}</table></div></section>`;
}

function loadSection(report: Report, load: string, stacks: readonly StackFigures[]): string {
  const command = commandForLoad(report, load);
  const side = stacks.flatMap(({ figures }) =>
    figures.filter((each) => each.load === load && isSideFigure(each)).map(({ figure }) => figure),
  );
  const plots = [...figureNames(stacks, load), ...new Set(side)].map((name, index) => {
    const bars = stacks.flatMap((stack): Bar[] => {
      const figure = findFigure(stack, load, name);
      if (figure === undefined) return [];
      const limit = index === 0 ? limitOf(stack, stacks, load) : undefined;
      return [{ label: labelOf(stack), kind: stack.stack, figure, limit }];
    });
    const unit = bars[0]?.figure.unit ?? "ms";
    const better = moreIsBetter(unit) ? "more is better" : "less is better";
    const marks = bars.flatMap(({ label, limit }) =>
      limit === undefined ? [] : [`<p><small>! ${escapeHtml(`${label}: ${limit}`)}</small></p>`],
    );
    return `<h3>${escapeHtml(name)} <small>${escapeHtml(unit)}, ${better}</small></h3>${plot(bars)}${marks.join("")}${again(command)}`;
  });
  if (plots.length === 0) return "";
  const known = loadNames.find((each) => each === load);
  const title = known === undefined ? "" : loadTitles[known];
  return `<section><h2>${escapeHtml(load)}</h2><p>${escapeHtml(title)}</p>${plots.join("\n")}</section>`;
}

function ratioTable(report: Report, stacks: readonly StackFigures[]): string {
  const { columns, rows } = ratiosOf(stacks);
  return table(
    "Ratios",
    "Of medians. ~ where the rounds of both overlap, so that it may be noise.",
    [
      ["", ...columns.map(({ title }) => title)],
      ...rows.map(({ key, unit }) => [
        `${key.replace("/", " ")} (${unit})`,
        ...columns.map(({ byKey }) => formatRatio(byKey.get(key), report.rounds)),
      ]),
    ],
    report.command,
  );
}

function costTable(report: Report, stacks: readonly StackFigures[]): string {
  const rows = stacks.flatMap((stack) => {
    const cost = costColumns(stack);
    return cost === undefined
      ? []
      : [[labelOf(stack), cost.vcpu.toFixed(3), formatValue(cost.memoryMb)]];
  });
  return table(
    "Cost",
    "Of 1000 requests a second of 1 KB, all proxies on the way: the columns in which Istio publishes it.",
    [["stack", "vCPU", "MB resident"], ...rows],
    commandForLoad(report, "rate-32"),
  );
}

function limitTable(report: Report, stacks: readonly StackFigures[]): string {
  const cores = (value: number | undefined): string =>
    value === undefined ? "-" : formatValue(value);
  const rows = ownLimits(stacks, loadNames).map((each) => [
    each.load,
    `${formatValue(each.most)} ${each.figure === "rate" ? "1/s" : "Gbit/s"}`,
    cores(each.generatorCores),
    cores(each.serverCores),
  ]);
  return table(
    "What load generators and servers do by themselves",
    "Without any mesh, on the same cores. Figures of a stack that are near it are marked with ! and say little about the stack.",
    [["load", "at most", "load generator, cores", "servers, cores"], ...rows],
    report.command,
  );
}

function contentSections(report: Report): string {
  const sized = sizedStacks(report.stacks);
  if (sized.length < 2) return "";
  const command = commandForContents(
    report,
    sized.slice(1).map(({ content }) => content),
  );
  const sections = ["http-32", "connections", "memory", "start", "push"].map((load) => {
    const names = figureNames(
      sized.map(({ stack }) => stack),
      load,
    );
    const plots = names.flatMap((name) => {
      const bars = sized.flatMap(({ content, stack }): Bar[] => {
        const figure = findFigure(stack, load, name);
        const label = variantOf(content);
        return figure === undefined ? [] : [{ label, kind: "ambit", figure, limit: undefined }];
      });
      if (bars.length < 2) return [];
      return [
        `<h3>${escapeHtml(name)} <small>${escapeHtml(bars[0]?.figure.unit ?? "")}</small></h3>${plot(bars)}${again(command)}`,
      ];
    });
    return plots.length === 0 ? "" : `<section><h2>${load}</h2>${plots.join("\n")}</section>`;
  });
  const objects = costPerObject(report.stacks).flatMap(({ label, object, roles }) =>
    roles.map(({ name, memoryKb, startCpuUs }) => [
      label,
      `each ${object} in the ${name}`,
      `${formatValue(memoryKb)} KB`,
      startCpuUs === undefined ? "-" : `${formatValue(startCpuUs)} us CPU`,
    ]),
  );
  const perObject = table(
    "Cost of one more object",
    "Against the small mesh: resident memory when idle, and CPU until all is ready.",
    [["mesh", "", "memory", "start"], ...objects],
    command,
  );
  return `<h1>ambit in larger meshes</h1>${perObject}${sections.join("\n")}`;
}

export function renderHtml(report: Report): string {
  const { environment } = report;
  const main = mainStacks(report.stacks);
  const named = [...new Set(main.map(({ stack }) => stack))];
  const micro = table(
    "Single functions",
    "Each by itself, in one process. Bytes are of the heap, left to the collector.",
    [microHead, ...report.micro.map(microRow)],
    commandForMicro(report),
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>ambit bench</title>
<style>${pageStyle}</style>
<h1>What the mesh costs</h1>
<p>${escapeHtml(report.takenAt)}. ${report.rounds} rounds of ${report.secondsPerLoad} s a load, after ${report.warmUpMs / 1_000} s of the same load that are not counted; stacks in turning order, each in fresh namespaces with real processes. Bars are medians, lines reach from the lowest to the highest round.
${environment.cores} &times; ${escapeHtml(environment.cpu)}, ${environment.memoryGb} GB, Linux ${escapeHtml(environment.kernel)}, Node ${escapeHtml(environment.node)}; load before the start: ${formatValue(environment.loadBefore)}. Clients, servers and proxies share these cores: rates are scores of the whole, CPU figures are of the proxies alone.</p>
<p><small>${environment.tools.map(escapeHtml).join("<br>")}</small></p>
<ul>${named.map((stack) => `<li><b>${stack}</b>: ${escapeHtml(stackTitles[stack])}</li>`).join("")}</ul>
${report.absent.map(({ what, reason }) => `<p>Not measured: ${escapeHtml(what)}: ${escapeHtml(reason)}</p>`).join("\n")}
<p>All of it again: <code>${escapeHtml(report.command)}</code></p>
${ratioTable(report, main)}
${costTable(report, main)}
${limitTable(report, main)}
${[...loadNames, "memory", "start", "push"].map((load) => loadSection(report, load, main)).join("\n")}
${contentSections(report)}
${micro}
</html>
`;
}
