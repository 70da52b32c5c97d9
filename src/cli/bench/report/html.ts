/** The report as one page that needs no network: bars with the spread of the rounds, drawn as SVG. Pure. */
import { type Figure, figureKey, labelOf, type StackFigures } from "../figures.ts";
import { loadNames, loadTitles, stackTitles } from "../spec.ts";
import { costColumns } from "./derive.ts";
import type { Report } from "./report.ts";
import { formatFigure, formatValue, moreIsBetter } from "./table.ts";

const ROW = 26;
const LEFT = 190;
const WIDTH = 420;
const RIGHT = 190;

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

interface Bar {
  readonly label: string;
  readonly kind: string;
  readonly figure: Figure;
}

function plot(bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ figure }) => figure.highest));
  const x = (value: number): number => LEFT + (most > 0 ? (value / most) * WIDTH : 0);
  const rows = bars.map(({ label, kind, figure }, index) => {
    const y = index * ROW;
    const middle = y + ROW / 2;
    return `<text x="${LEFT - 8}" y="${middle + 4}" class="label">${escapeHtml(label)}</text>
<rect x="${LEFT}" y="${y + 5}" width="${Math.max(1, x(figure.median) - LEFT).toFixed(1)}" height="${ROW - 10}" class="bar ${kind}"/>
<line x1="${x(figure.lowest).toFixed(1)}" x2="${x(figure.highest).toFixed(1)}" y1="${middle}" y2="${middle}" class="spread"/>
<text x="${(x(figure.highest) + 8).toFixed(1)}" y="${middle + 4}" class="value">${escapeHtml(formatFigure(figure))}</text>`;
  });
  return `<svg viewBox="0 0 ${LEFT + WIDTH + RIGHT} ${bars.length * ROW}" role="img">${rows.join("\n")}</svg>`;
}

function section(load: string, stacks: readonly StackFigures[]): string {
  const keys = [
    ...new Set(
      stacks.flatMap(({ figures }) => figures.filter((f) => f.load === load).map(figureKey)),
    ),
  ];
  const plots = keys.map((key) => {
    const bars = stacks.flatMap((stack) => {
      const figure = stack.figures.find((candidate) => figureKey(candidate) === key);
      return figure === undefined ? [] : [{ label: labelOf(stack), kind: stack.stack, figure }];
    });
    const unit = bars[0]?.figure.unit ?? "ms";
    const better = moreIsBetter(unit) ? "more is better" : "less is better";
    return `<h3>${escapeHtml(key.slice(load.length + 1))} <small>${escapeHtml(unit)}, ${better}</small></h3>${plot(bars)}`;
  });
  if (plots.length === 0) return "";
  const title = load in loadTitles ? loadTitles[load as keyof typeof loadTitles] : "";
  return `<section><h2>${escapeHtml(load)}</h2><p>${escapeHtml(title)}</p>${plots.join("\n")}</section>`;
}

function costTable(stacks: readonly StackFigures[]): string {
  const rows = stacks.flatMap((stack) => {
    const cost = costColumns(stack);
    if (cost === undefined) return [];
    return [
      `<tr><td>${escapeHtml(labelOf(stack))}</td><td>${formatValue(cost.vcpuPer1000Rps)}</td><td>${formatValue(cost.memoryMb)}</td></tr>`,
    ];
  });
  return `<section><h2>Cost</h2><table><tr><th>stack</th><th>vCPU for 1000 requests/s of 1 KB</th><th>MB resident, all proxies, loaded</th></tr>${rows.join("")}</table></section>`;
}

export function renderHtml(report: Report): string {
  const { environment, stacks } = report;
  const main = stacks.filter(({ variant }) => !variant.includes("workloads"));
  const sized = stacks.filter(({ variant }) => variant.includes("workloads"));
  const named = [...new Set(main.map(({ stack }) => stack))];
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>ambit bench</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
svg { width: 100%; height: auto; } .label { text-anchor: end; font-size: 13px; } .value { font-size: 12px; fill: #51606f; }
.bar { fill: #9aa7b4; } .bar.ambit { fill: #1769aa; } .bar.ambit-waypoint { fill: #4aa3df; } .bar.sidecars { fill: #c96f1e; } .bar.ztunnel { fill: #5b8c3a; }
.spread { stroke: #1c2733; stroke-width: 2; } h2 { margin: 2.2rem 0 0; } h3 { margin: .8rem 0 .2rem; font-size: 1rem; } small { color: #51606f; font-weight: normal; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; border-bottom: 1px solid #d7dee5; text-align: left; } code { background: #eef2f5; padding: .1rem .3rem; }
</style>
<h1>What the mesh costs</h1>
<p>${escapeHtml(report.takenAt)}. ${report.rounds} rounds of ${report.secondsPerLoad} s a load, stacks in turning order, each in fresh namespaces with real processes; bars are medians, lines reach from the lowest to the highest round.
${environment.cores} &times; ${escapeHtml(environment.cpu)}, ${environment.memoryGb} GB, Linux ${escapeHtml(environment.kernel)}, Node ${escapeHtml(environment.node)}. Clients, servers and proxies share these cores: rates are scores of the whole, CPU figures are of the proxies alone.</p>
<ul>${named.map((stack) => `<li><b>${stack}</b>: ${escapeHtml(stackTitles[stack])}</li>`).join("")}</ul>
<p>Again: <code>${escapeHtml(report.command)}</code></p>
${report.absent.map(({ what, reason }) => `<p>Not measured: ${escapeHtml(what)}: ${escapeHtml(reason)}</p>`).join("\n")}
${costTable(main)}
${[...loadNames, "memory", "start", "push"].map((load) => section(load, main)).join("\n")}
${sized.length === 0 ? "" : `<h1>ambit in larger meshes</h1>${["http-32", "connections", "memory", "start", "push"].map((load) => section(load, sized)).join("\n")}`}
</html>
`;
}
