/** The report as one page that needs no network: the ratios first, then plots with the spread of the rounds. Pure. */
import type { StackFigures } from "../../figures.ts";
import { besideNames, loadNames, stackTitles } from "../../spec.ts";
import { commandForLoad, commandForMicro } from "../commands.ts";
import { absentOf, costHead, costRows, loadsOfFewerRounds, mainStacks } from "../derive.ts";
import { limitHead, limitRows } from "../limits.ts";
import { microHead, microRow } from "../micro.ts";
import type { Report } from "../report.ts";
import { formatValue } from "../text.ts";
import { again, escapeHtml, renderSection, type Section, table } from "./elements.ts";
import { loadSection } from "./loads.ts";
import { meshSection } from "./meshes.ts";
import { allRatios, inShort, leadSentence, ratioLegend } from "./ratios.ts";
import { pageStyle } from "./style.ts";

export function renderHtml(report: Report): string {
  const main = mainStacks(report.stacks);
  const sections = [
    allRatios(report),
    costSection(report, main),
    ...[...loadNames, ...besideNames].map((load) => loadSection(report, load, main)),
    meshSection(report),
    limitSection(report, main),
    microSection(report),
    environmentSection(report),
  ].filter(({ body }) => body !== "");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>ambit bench</title>
<style>${pageStyle}</style></head><body>
${top(report)}
<nav>${sections.map(({ id }) => `<a href="#${id}">${id}</a>`).join(" ")}</nav>
${stackList(report, main)}
${sections.map(renderSection).join("\n")}
</body></html>
`;
}

/** The first screen. */
function top(report: Report): string {
  const { environment, rounds, secondsPerLoad } = report;
  const absent = absentOf(report).map(
    ({ what, reason }) => `<li>${escapeHtml(`${what}: ${reason}`)}</li>`,
  );
  const how = `${rounds} ${rounds === 1 ? "round" : "rounds"} of ${secondsPerLoad} s a load`;
  const where = `${environment.cores} × ${environment.cpu}, ${environment.memoryGb} GB, Linux ${environment.kernel}, Node ${environment.node}`;
  return `<h1>What does the mesh cost?</h1>
${leadSentence(report)}
<p class="soft">${escapeHtml(`${where}. ${report.takenAt}, ${how}.`)} ${ratioLegend(report)}</p>
${inShort(report)}
${again(report.command)}
${absent.length === 0 ? "" : `<p>Not measured:</p><ul>${absent.join("")}</ul>`}`;
}

function stackList(report: Report, main: readonly StackFigures[]): string {
  const named = [...new Set(main.map(({ stack }) => stack))];
  const items = named.map((stack) => `<li><b>${stack}</b>: ${escapeHtml(stackTitles[stack])}</li>`);
  const few = loadsOfFewerRounds(report);
  const fewer = few.length === 0 ? "" : ` Fewer rounds than ${report.rounds}: ${few.join(", ")}.`;
  return `<h2>What was measured</h2><ul>${items.join("")}</ul>
<p>Each stack in fresh namespaces with real processes, in turning order; every load ran for ${report.warmUpMs / 1_000} s before it was measured. Bars are medians, lines reach from the lowest to the highest round. Clients, servers and proxies share the cores: rates are scores of the whole, CPU figures are of the proxies alone.${fewer}</p>`;
}

function costSection(report: Report, main: readonly StackFigures[]): Section {
  return {
    id: "cost",
    title: "Cost of 1000 requests a second",
    text: "of 1 KB, with 32 clients: the columns in which Istio publishes it",
    command: commandForLoad(report, "rate-32"),
    body: table(
      costHead,
      costRows(main).map(([label = "", vcpu = "", memory = "", how = ""]) => [
        label,
        vcpu,
        memory,
        { text: how, kind: "text" },
      ]),
    ),
  };
}

function limitSection(report: Report, main: readonly StackFigures[]): Section {
  return {
    id: "limits",
    title: "What load generators and servers do by themselves",
    text: "without any mesh, on the same cores; figures near it are marked with ! and say little about the stack",
    command: report.command,
    body: table(["load", ...limitHead], limitRows(main)),
  };
}

function microSection(report: Report): Section {
  return {
    id: "micro",
    title: "Single functions",
    text: "each by itself, in one process; bytes are of the heap, left to the collector",
    command: commandForMicro(report),
    body: table(microHead, report.micro.map(microRow)),
  };
}

function environmentSection({ environment, takenAt, tookSeconds }: Report): Section {
  const rows = [
    ["machine", `${environment.cores} × ${environment.cpu}, ${environment.memoryGb} GB`],
    ["kernel", environment.kernel],
    ["Node", `${environment.node}, OpenSSL ${environment.openssl}`],
    ["load before the start", formatValue(environment.loadBefore)],
    ["taken", `${takenAt}, in ${tookSeconds} s`],
    ...environment.tools.map((tool, index) => [index === 0 ? "programs" : "", tool]),
  ];
  const body = rows.map(([name = "", text = ""]) => [name, { text, kind: "text" }]);
  return {
    id: "environment",
    title: "Environment",
    text: "",
    command: undefined,
    body: table(["", ""], body),
  };
}
