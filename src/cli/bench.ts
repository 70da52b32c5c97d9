/** `ambit bench`: what the mesh costs on this machine, against none, against sidecars, and against the reference. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { describeError } from "../shared/base/errors.ts";
import { describeEnvironment } from "./bench/environment.ts";
import { summarize } from "./bench/figures.ts";
import { runInside } from "./bench/inside.ts";
import { type RunOutcome, runPlan } from "./bench/outside.ts";
import { type PlanOptions, planRuns, type StackChoice } from "./bench/plan.ts";
import { renderHtml } from "./bench/report/html.ts";
import type { Report } from "./bench/report/report.ts";
import { renderTable } from "./bench/report/table.ts";
import { renderVersions } from "./bench/report/versions.ts";
import {
  type LoadName,
  loadNames,
  type RunSpec,
  type StackName,
  stackNames,
} from "./bench/spec.ts";
import { envoyBinary } from "./bench/stacks/sidecars.ts";
import { buildVersion } from "./bench/versions.ts";
import { CommandFailure, type CommandIo } from "./command.ts";
import { probeSandbox, SandboxUnavailable } from "./world/sandbox.ts";

interface Options {
  readonly quick?: boolean;
  readonly stacks?: readonly StackName[];
  readonly loads?: readonly LoadName[];
  readonly rounds?: number;
  readonly seconds?: number;
  readonly out: string;
  readonly compare?: string;
  readonly inside?: string;
}

const TOOLS = ["ip", "nft", "nginx", "iperf3", "wrk", "h2load", "curl", "ss"];

function listOf<T extends string>(
  names: readonly T[],
  what: string,
): (text: string) => readonly T[] {
  return (text) =>
    text.split(",").map((name) => {
      const found = names.find((candidate) => candidate === name);
      if (found === undefined) throw new InvalidArgumentError(`${what} are: ${names.join(", ")}`);
      return found;
    });
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("a positive whole number");
  return value;
}

const quickLoads: readonly LoadName[] = [
  "bulk-1",
  "bulk-4",
  "http-1",
  "http-32",
  "connections",
  "beside-bulk",
];

function ownProgram(): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? ""];
}

interface Absent {
  readonly what: string;
  readonly reason: string;
}

/** The stacks that can be had here; the others with the reason why not. */
function chooseStacks(
  io: CommandIo,
  options: Options,
): { readonly stacks: readonly StackChoice[]; readonly absent: readonly Absent[] } {
  const stacks: StackChoice[] = [];
  const absent: Absent[] = [];
  for (const stack of options.stacks ?? stackNames) {
    if ((stack === "sidecars" || stack === "envoy-waypoint") && envoyBinary(io.env) === undefined)
      absent.push({ what: stack, reason: "there is no Envoy; ENVOY_BIN can name one" });
    else if (stack === "ztunnel" && !io.env["ZTUNNEL_BIN"])
      absent.push({ what: stack, reason: "ZTUNNEL_BIN names no binary of Istio's ztunnel" });
    else stacks.push({ stack, variant: "", program: ownProgram() });
  }
  return { stacks, absent };
}

function planOptions(options: Options, stacks: readonly StackChoice[]): PlanOptions {
  const quick = options.quick === true;
  return {
    stacks,
    loads: options.loads ?? (quick ? quickLoads : loadNames),
    rounds: options.rounds ?? (quick ? 2 : 5),
    seconds: options.seconds ?? (quick ? 1 : 4),
    idleConnections: 10_000,
    contents: quick
      ? []
      : [
          { policies: 100, workloads: 0 },
          { policies: 10_000, workloads: 0 },
          { policies: 1, workloads: 100 },
          { policies: 1, workloads: 10_000 },
          { policies: 1, workloads: 100_000 },
        ],
  };
}

/** A failure is told as a value: servers that still run would keep this process from ending with it. */
async function measureInside(spec: RunSpec): Promise<RunOutcome> {
  try {
    return { kind: "measured", result: await runInside(spec) };
  } catch (thrown) {
    return { kind: "failed", reason: describeError(thrown) };
  }
}

/** Two stacks: ambit as it was at a commit, and as it is. */
async function compareVersions(io: CommandIo, options: Options, ref: string): Promise<void> {
  const kind = sandboxKind();
  const own = ownProgram();
  const old = await buildVersion(ref, own.at(-1) ?? "").catch((thrown: unknown) => {
    throw new CommandFailure(`Cannot build ${ref}: ${describeError(thrown)}`, { cause: thrown });
  });
  try {
    const stacks = [
      { stack: "ambit", variant: old.commit, program: [...own.slice(0, -1), old.bundle] },
      { stack: "ambit", variant: "now", program: own },
    ] as const;
    const plan = { ...planOptions(options, stacks), contents: [] };
    const { results, absent } = await runPlan(io, kind, own, planRuns(plan));
    const [before, now] = [old.commit, "now"].map((variant) =>
      summarize(results).find((figures) => figures.variant === variant),
    );
    if (before === undefined || now === undefined)
      throw new CommandFailure(`Cannot compare: ${absent.map(({ reason }) => reason).join("; ")}`);
    io.stdout(renderVersions(before, now));
  } finally {
    old.remove();
  }
}

async function run(io: CommandIo, options: Options): Promise<void> {
  if (options.compare !== undefined) return compareVersions(io, options, options.compare);
  if (options.inside !== undefined) {
    process.send?.(await measureInside(JSON.parse(options.inside) as RunSpec));
    return;
  }
  const kind = sandboxKind();
  const { stacks, absent } = chooseStacks(io, options);
  const plan = planOptions(options, stacks);
  const environment = describeEnvironment();
  const outcome = await runPlan(io, kind, ownProgram(), planRuns(plan));
  const report: Report = {
    takenAt: environment.takenAt,
    command: `npm run bench${process.argv.length > 3 ? ` -- ${process.argv.slice(3).join(" ")}` : ""}`,
    environment,
    rounds: plan.rounds,
    secondsPerLoad: plan.seconds,
    stacks: summarize(outcome.results),
    absent: [...absent, ...outcome.absent],
    results: outcome.results,
  };
  mkdirSync(options.out, { recursive: true });
  writeFileSync(join(options.out, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  writeFileSync(join(options.out, "report.html"), renderHtml(report));
  io.stdout(renderTable(report));
  io.stderr(`ambit bench: ${join(options.out, "report.json")} and report.html are written\n`);
}

function sandboxKind(): ReturnType<typeof probeSandbox> {
  try {
    return probeSandbox(TOOLS);
  } catch (thrown) {
    if (thrown instanceof SandboxUnavailable)
      throw new CommandFailure(`Cannot run the benchmark: ${thrown.message}`, { cause: thrown });
    throw thrown;
  }
}

export function build(io: CommandIo): Command {
  return new Command()
    .option("--quick", "fewer loads, shorter: under three minutes")
    .option("--stacks <names>", `of ${stackNames.join(", ")}`, listOf(stackNames, "stacks"))
    .option("--loads <names>", `of ${loadNames.join(", ")}`, listOf(loadNames, "loads"))
    .option("--rounds <n>", "how often every stack is brought up", positive)
    .option("--seconds <n>", "how long each load runs", positive)
    .option(
      "--compare <git ref>",
      "ambit as it was then beside ambit as it is now, and nothing else",
    )
    .option("--out <folder>", "where the reports go", "bench")
    .addOption(new Option("--inside <spec>").hideHelp())
    .action((options: Options) => run(io, options));
}
