/** What the page is made of. Pure. */

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

export interface Section {
  /** Links lead to it by this name. */
  readonly id: string;
  readonly title: string;
  readonly text: string;
  /** What measures it again; undefined where nothing was measured. */
  readonly command: string | undefined;
  /** HTML; an empty one leaves the section out. */
  readonly body: string;
}

export function renderSection({ id, title, text, command, body }: Section): string {
  const head = `<h2>${escapeHtml(title)} <small>${escapeHtml(text)}</small></h2>`;
  return `<section id="${id}">${head}${command === undefined ? "" : again(command)}${body}</section>`;
}

export function again(command: string): string {
  return `<p class="again"><small>again: <code>${escapeHtml(command)}</code></small></p>`;
}

export interface Cell {
  readonly text: string;
  /** In small letters below it. */
  readonly below?: string | undefined;
  /** Of the style. */
  readonly kind?: string;
}

export type Row = readonly (Cell | string)[];

function cells(row: Row, tag: "td" | "th", scope: "col" | "row"): string {
  return row
    .map((cell, column) => {
      const { text, below, kind = "" } = typeof cell === "string" ? { text: cell } : cell;
      const name = column === 0 ? "th" : tag;
      const attributes = `${name === "th" ? ` scope="${scope}"` : ""}${kind === "" ? "" : ` class="${kind}"`}`;
      const small = below === undefined ? "" : `<small>${escapeHtml(below)}</small>`;
      return `<${name}${attributes}>${escapeHtml(text)}${small}</${name}>`;
    })
    .join("");
}

/** The first cell of a row says what the row is. A row of one cell is a heading over those that follow. */
export function table(head: Row, rows: readonly Row[]): string {
  if (rows.length === 0) return "";
  const body = rows.map((row) =>
    row.length === 1 && head.length > 1
      ? `<tr class="group">${cells(row, "th", "row").replace("<th", `<th colspan="${head.length}"`)}</tr>`
      : `<tr>${cells(row, "td", "row")}</tr>`,
  );
  return `<div class="wide"><table><thead><tr>${cells(head, "th", "col")}</tr></thead><tbody>${body.join("\n")}</tbody></table></div>`;
}
