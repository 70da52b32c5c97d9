/** How what a report shows is measured again. Pure. */
import { formatContent } from "../plan.ts";
import { loadNames, type MeshContent, type StackName } from "../spec.ts";
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
export function commandForLoad(report: Report, load: string): string {
  const stacks = stacksOf(report);
  const known = loadNames.find((name) => name === load);
  return commandOf(
    report.call,
    [
      `--stacks ${stacks.join(",")}`,
      // Memory grows with what came before.
      ...(known === undefined || known === "cold" ? [] : [`--loads cold,${known}`]),
      `--rounds ${report.rounds}`,
      `--seconds ${report.secondsPerLoad}`,
    ],
    stacks,
  );
}

export function commandForContents(report: Report, contents: readonly MeshContent[]): string {
  const list = contents.map(formatContent).join(",");
  const loads = "--loads cold,http-32,connections";
  return commandOf(report.call, ["--stacks ambit", loads, `--contents ${list}`], []);
}

export function commandForMicro(report: Report): string {
  return commandOf(report.call, ["micro"], []);
}
