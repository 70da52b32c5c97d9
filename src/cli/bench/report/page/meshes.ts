/** ambit in larger meshes, and what each further object costs. Pure. */
import type { MeshContent } from "../../spec.ts";
import { commandForContents } from "../commands.ts";
import { contentFigures, costPerObject, findFigure, sizedStacks } from "../derive.ts";
import type { Report } from "../report.ts";
import { formatValue } from "../text.ts";
import { type Section, table } from "./elements.ts";
import { type Bar, plot, plotGrid } from "./plot.ts";

/** Of a mesh, what there is much of. */
function sizeOf({ policies, workloads }: MeshContent): string {
  if (workloads > 0) return `${formatCount(workloads)} workloads`;
  return policies > 1 ? `${formatCount(policies)} policies` : "small mesh";
}

function formatCount(count: number): string {
  return count < 10_000 ? String(count) : `${count / 1_000}k`;
}

/** Empty where ambit was measured in one mesh only. */
export function meshSection(report: Report): Section {
  const sized = sizedStacks(report.stacks);
  const plots = contentFigures.map(([load, name]) => {
    const bars = sized.flatMap(({ content, stack }): Bar[] => {
      const figure = findFigure(stack, load, name);
      return figure === undefined ? [] : [{ label: sizeOf(content), kind: "ambit", figure }];
    });
    return plot(`${load}: ${name}`, bars);
  });
  const objects = costPerObject(report.stacks).flatMap(({ content, object, roles }) =>
    roles.map(({ name, memoryKb, startCpuUs }) => [
      `each ${object} in the ${name}, of ${sizeOf(content)}`,
      formatValue(memoryKb),
      startCpuUs === undefined ? "-" : formatValue(startCpuUs),
    ]),
  );
  const head = ["cost of one more object", "KB resident", "us CPU until all is ready"];
  return {
    id: "meshes",
    title: "ambit in larger meshes",
    text: "measured once each; the small mesh has one policy and two pods, and all policies apply to the server",
    command: commandForContents(
      report,
      sized.slice(1).map(({ content }) => content),
    ),
    body: sized.length < 2 ? "" : plotGrid(plots) + table(head, objects),
  };
}
