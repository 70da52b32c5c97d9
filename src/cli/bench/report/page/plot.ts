/** One figure of several stacks as bars: medians, with lines from the lowest to the highest round. Pure. */
import type { Figure } from "../../figures.ts";
import { formatRange, formatValue, moreIsBetter } from "../text.ts";
import { escapeHtml } from "./elements.ts";

export interface Bar {
  readonly label: string;
  /** The stack, which has a color. */
  readonly kind: string;
  readonly figure: Figure;
  /** Why it may not be the stack that is measured. */
  readonly limit?: string | undefined;
}

export function plot(title: string, bars: readonly Bar[]): string {
  const [first] = bars;
  if (first === undefined) return "";
  const { unit } = first.figure;
  const most = Math.max(...bars.map(({ figure }) => figure.highest));
  const percent = (value: number): string =>
    (most > 0 ? (Math.max(0, value) / most) * 100 : 0).toFixed(2);
  const rows = bars.map(({ label, kind, figure, limit }) => {
    const { median, lowest, highest } = figure;
    const range = formatRange(figure);
    const spread =
      range === undefined
        ? ""
        : `<i class="spread" style="left:${percent(lowest)}%;width:${percent(highest - lowest)}%"></i>`;
    const value = `${formatValue(median)}${limit === undefined ? "" : " !"}`;
    return `<div class="row"><span class="name">${escapeHtml(label)}</span><span class="track"><i class="bar ${kind}" style="width:${percent(median)}%"></i>${spread}</span><span class="value">${escapeHtml(value)} <small>${escapeHtml(range ?? "")}</small></span></div>`;
  });
  const better = moreIsBetter(unit) ? "more is better" : "less is better";
  return `<figure class="plot"><figcaption>${escapeHtml(title)} <small>${escapeHtml(unit)}, ${better}</small></figcaption>${rows.join("\n")}</figure>\n`;
}

export function plotGrid(plots: readonly string[]): string {
  const drawn = plots.filter((each) => each !== "");
  return drawn.length === 0 ? "" : `<div class="plots">${drawn.join("")}</div>`;
}
