/** A status report in columns, for a terminal. */
import { problemText } from "../../shared/objects/file/source.ts";
import type { Condition } from "../translate/conditions.ts";
import type { PodReport, StatusReport } from "./report.ts";

export function statusText(report: StatusReport): string {
  const counts = Object.entries(report.objects).map(([kind, count]) => `${count} ${kind}`);
  const sections = [
    section("Objects", [counts.length === 0 ? "none" : counts.join(", ")]),
    section("Refused", report.problems.map(problemText)),
    section(
      "Not known to the mesh",
      report.skipped.map(
        ({ file, line, apiVersion, kind, name }) =>
          `${file}:${line}: ${apiVersion} ${kind} ${name}`,
      ),
    ),
    section("Not handled (for gateways at the edge)", report.unhandled),
    section("Conditions", report.conditions.map(conditionLine)),
    section("Pods", podLines(report.pods)),
  ];
  return sections.filter((text) => text !== "").join("\n");
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${title}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

function conditionLine({ object, type, status, reason, message }: Condition): string {
  return `${object}  ${type}=${status}  ${reason}: ${message}`;
}

function podLines(pods: readonly PodReport[]): readonly string[] {
  const rows = pods.map((pod) => [
    pod.pod,
    pod.node,
    pod.mesh,
    pod.reason,
    [...pod.policies, ...(pod.waypoint === "" ? [] : [`waypoint ${pod.waypoint}`])].join(", "),
  ]);
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
