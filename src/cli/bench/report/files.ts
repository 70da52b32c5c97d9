/** Where reports are kept: written after a measurement, read again to be shown anew. */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describeError } from "../../../shared/base/errors.ts";
import { CommandFailure } from "../../command.ts";
import { summarize } from "../figures.ts";
import { renderHtml } from "./page/page.ts";
import type { Report } from "./report.ts";
import { renderSummary } from "./summary.ts";

/** Step by step: `recursive` of Node never returns below /proc. */
function makeFolders(folder: string): void {
  if (existsSync(folder)) return;
  makeFolders(dirname(folder));
  mkdirSync(folder);
}

/** Made before anything is measured: a folder that cannot be written should not be found out after half an hour. */
export function prepareFolder(folder: string): void {
  try {
    makeFolders(resolve(folder));
    accessSync(folder, constants.W_OK);
  } catch (thrown) {
    const text = `Cannot write reports to "${folder}": ${describeError(thrown)}; --out names another folder`;
    throw new CommandFailure(text, { cause: thrown });
  }
}

export function writeReport(folder: string, report: Report): void {
  writeFileSync(join(folder, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  writeViews(folder, report);
}

/** The page and the summary of a report. */
export function writeViews(folder: string, report: Report): void {
  writeFileSync(join(folder, "report.html"), renderHtml(report));
  writeFileSync(join(folder, "summary.md"), renderSummary(report));
}

export function readReport(file: string): Report {
  try {
    return reportOf(JSON.parse(readFileSync(file, "utf8")));
  } catch (thrown) {
    throw new CommandFailure(`Cannot show "${file}" again: ${describeError(thrown)}`, {
      cause: thrown,
    });
  }
}

/** Only what every report has is looked for: whoever names a file means one. */
function reportOf(value: unknown): Report {
  const report = value as Partial<Report> | null;
  if (!Array.isArray(report?.results) || report.environment === undefined)
    throw new TypeError("it is no report of a benchmark");
  return { ...(report as Report), stacks: summarize(report.results) };
}
