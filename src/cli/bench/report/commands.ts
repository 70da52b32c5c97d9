/** How what a report shows is measured again. Pure. */
import { quickScope } from "../options.ts";
import { contentLoads, formatContent } from "../plan.ts";
import type { BesideName, LoadName, MeshContent, StackName } from "../spec.ts";
import type { Report } from "./report.ts";

/** How the program was called: `npm run bench --` from a checkout, whose script says so, else `ambit bench`. */
export function callOf(env: Readonly<Record<string, string | undefined>>): string {
  const quota = env["AMBIT_BENCH_THREAD_CPU"];
  const held = quota === undefined ? "" : `AMBIT_BENCH_THREAD_CPU=${quota} `;
  return held + (env["AMBIT_BENCH_CALL"] ?? "ambit bench");
}

export function commandOf(
  call: string,
  args: readonly string[],
  stacks: readonly StackName[],
): string {
  const binary = stacks.includes("ztunnel") ? "ZTUNNEL_BIN=<binary> " : "";
  const words = args.length === 0 ? call.replace(/ --$/, "") : [call, ...args].join(" ");
  return binary + words;
}

function stacksOf({ stacks }: Report): readonly StackName[] {
  return [...new Set(stacks.map(({ stack }) => stack))];
}

/** For the figures of one load, or of what is looked at beside all loads. */
export function commandForLoad(report: Report, load: LoadName | BesideName): string {
  // Memory grows with all that came before.
  if (load === "memory") return report.command;
  const stacks = stacksOf(report);
  const before = load === "cold" || load === "start" || load === "push" ? "" : `,${load}`;
  const words = [`--stacks ${stacks.join(",")}`, `--loads cold${before}`, ...effortOf(report)];
  return commandOf(report.call, words, stacks);
}

function effortOf({ warmUpMs, rounds, secondsPerLoad }: Report): readonly string[] {
  return [
    // Nothing else gives the shorter warm-up and the fewer idle connections.
    ...(warmUpMs === quickScope.warmUpMs ? ["--quick"] : []),
    `--rounds ${rounds}`,
    `--seconds ${secondsPerLoad}`,
  ];
}

export function commandForContents(report: Report, contents: readonly MeshContent[]): string {
  const loads = `--loads ${contentLoads.join(",")}`;
  const list = `--contents ${contents.map(formatContent).join(",")}`;
  return commandOf(report.call, ["--stacks ambit", loads, list, ...effortOf(report)], []);
}

export function commandForMicro(report: Report): string {
  return commandOf(report.call, ["micro"], []);
}
