/** `ambit bench`: what the mesh costs on this machine, against none, against sidecars, and against the reference. */
import { Argument, Command, Option } from "commander";
import { systemClock } from "../shared/base/clock.ts";
import { describeError } from "../shared/base/errors.ts";
import { describeEnvironment } from "./bench/environment.ts";
import { summarize } from "./bench/figures.ts";
import { runInside } from "./bench/inside.ts";
import { driveGrpc, type GrpcWork, serveGrpc } from "./bench/loads/grpc-peer.ts";
import { runMicro } from "./bench/micro/run.ts";
import {
  type BenchOptions,
  contentsOf,
  fullScope,
  listOf,
  positive,
  quickScope,
} from "./bench/options.ts";
import { type RunOutcome, runPlan } from "./bench/outside.ts";
import { type PlanOptions, planRuns, type StackChoice } from "./bench/plan.ts";
import { callOf, commandOf } from "./bench/report/commands.ts";
import { prepareFolder, readReport, writeReport, writeViews } from "./bench/report/files.ts";
import { microTable } from "./bench/report/micro.ts";
import type { Report } from "./bench/report/report.ts";
import { renderTable } from "./bench/report/table.ts";
import { renderVersions } from "./bench/report/versions.ts";
import { loadNames, type RunSpec, stackNames } from "./bench/spec.ts";
import { envoyBinary } from "./bench/stacks/envoy.ts";
import { buildVersion } from "./bench/versions.ts";
import { CommandFailure, type CommandIo } from "./command.ts";
import { probeSandbox, SandboxUnavailable } from "./world/sandbox.ts";

const TOOLS = ["ip", "nft", "nginx", "iperf3", "wrk", "h2load", "curl", "ss", "timeout"];

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
  options: BenchOptions,
): { readonly stacks: readonly StackChoice[]; readonly absent: readonly Absent[] } {
  const stacks: StackChoice[] = [];
  const absent: Absent[] = [];
  for (const stack of options.stacks ?? scopeOf(options).stacks) {
    if ((stack === "sidecars" || stack === "envoy-waypoint") && envoyBinary(io.env) === undefined)
      absent.push({ what: stack, reason: "there is no Envoy; ENVOY_BIN can name one" });
    else if (stack === "ztunnel" && !io.env["ZTUNNEL_BIN"])
      absent.push({ what: stack, reason: "ZTUNNEL_BIN names no binary of Istio's ztunnel" });
    else stacks.push({ stack, variant: "", program: ownProgram() });
  }
  return { stacks, absent };
}

/** How the programs that ambit is compared with say their versions. */
function peersOf(io: CommandIo): readonly (readonly [string, string])[] {
  const envoy = envoyBinary(io.env);
  const ztunnel = io.env["ZTUNNEL_BIN"];
  return [
    ...(envoy === undefined ? [] : ([[envoy, "--version"]] as const)),
    ...(ztunnel ? ([[ztunnel, "version"]] as const) : []),
  ];
}

function scopeOf({ quick }: BenchOptions): typeof fullScope {
  return quick === true ? quickScope : fullScope;
}

/** Who names loads or stacks wants these and nothing beside them. */
function isPart({ loads, stacks }: BenchOptions): boolean {
  return loads !== undefined || stacks !== undefined;
}

function planOptions(options: BenchOptions, stacks: readonly StackChoice[]): PlanOptions {
  const scope = scopeOf(options);
  const rounds = options.rounds ?? scope.rounds;
  return {
    ...scope,
    own: ownProgram(),
    stacks,
    loads: options.loads ?? scope.loads,
    rounds,
    sideRounds: options.loads === undefined ? Math.min(rounds, scope.sideRounds) : rounds,
    seconds: options.seconds ?? scope.seconds,
    contents: options.contents ?? (isPart(options) ? [] : scope.contents),
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

/** Ambit as it was at a commit beside ambit as it is: L4 alone, or the stacks that were named. */
async function compareVersions(io: CommandIo, options: BenchOptions, ref: string): Promise<void> {
  const kind = sandboxKind();
  const own = ownProgram();
  const old = await buildVersion(ref, own.at(-1) ?? "").catch((thrown: unknown) => {
    throw new CommandFailure(`Cannot build ${ref}: ${describeError(thrown)}`, { cause: thrown });
  });
  try {
    const stacks = (options.stacks ?? ["ambit"]).flatMap((stack): StackChoice[] => [
      { stack, variant: old.commit, program: [...own.slice(0, -1), old.bundle] },
      { stack, variant: "now", program: own },
    ]);
    const plan = { ...planOptions(options, stacks), contents: [] };
    const { results, absent } = await runPlan(io, kind, planRuns(plan));
    const figures = summarize(results);
    for (const stack of new Set(stacks.map((choice) => choice.stack))) {
      const [before, now] = [old.commit, "now"].map((variant) =>
        figures.find((candidate) => candidate.stack === stack && candidate.variant === variant),
      );
      if (before === undefined || now === undefined)
        throw new CommandFailure(
          `Cannot compare ${stack}: ${absent.map(({ reason }) => reason).join("; ")}`,
        );
      io.stdout(renderVersions(before, now));
    }
    for (const { what, reason } of absent) io.stdout(`not measured: ${what}: ${reason}\n`);
  } finally {
    old.remove();
  }
}

async function measureAll(io: CommandIo, options: BenchOptions): Promise<void> {
  prepareFolder(options.out);
  const startedMs = systemClock.monotonicMs();
  const kind = sandboxKind();
  const { stacks, absent } = chooseStacks(io, options);
  const plan = planOptions(options, stacks);
  const call = callOf(io.env);
  const environment = describeEnvironment(peersOf(io));
  const outcome = await runPlan(io, kind, planRuns(plan));
  const report: Report = {
    takenAt: environment.takenAt,
    command: commandOf(
      call,
      process.argv.slice(3),
      stacks.map(({ stack }) => stack),
    ),
    call,
    environment,
    rounds: plan.rounds,
    secondsPerLoad: plan.seconds,
    warmUpMs: plan.warmUpMs,
    idleConnections: plan.idleConnections,
    tookSeconds: Math.round((systemClock.monotonicMs() - startedMs) / 1_000),
    stacks: summarize(outcome.results),
    micro: isPart(options) ? [] : runMicro(options.quick === true ? "quick" : "full"),
    absent: [...absent, ...outcome.absent],
    results: outcome.results,
  };
  writeReport(options.out, report);
  io.stdout(renderTable(report));
  io.stderr(`ambit bench: report.json, report.html and summary.md are in ${options.out}\n`);
  if (outcome.results.length === 0) throw new CommandFailure("No stack could be measured");
}

/** A report as it is shown by this version, without measuring anything. */
function showAgain(io: CommandIo, { out }: BenchOptions, file: string): void {
  const report = readReport(file);
  prepareFolder(out);
  writeViews(out, report);
  io.stdout(renderTable(report));
  io.stderr(`ambit bench: report.html and summary.md are in ${out}\n`);
}

async function run(io: CommandIo, part: string | undefined, options: BenchOptions): Promise<void> {
  const { compare, from, inside, grpcServer, grpcClient } = options;
  if (part === "micro") io.stdout(microTable(runMicro("full")));
  else if (inside !== undefined) process.send?.(await measureInside(JSON.parse(inside) as RunSpec));
  else if (grpcServer !== undefined) await serveGrpc(grpcServer);
  else if (grpcClient !== undefined)
    io.stdout(
      `${JSON.stringify(await driveGrpc(JSON.parse(grpcClient) as GrpcWork, io.stdout))}\n`,
    );
  else if (from !== undefined) showAgain(io, options, from);
  else if (compare !== undefined) await compareVersions(io, options, compare);
  else await measureAll(io, options);
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
    .addArgument(
      new Argument("[part]", "micro: single functions, without any process or network").choices([
        "micro",
      ]),
    )
    .option("--quick", "fewer loads, shorter, one round: under three minutes")
    .option("--stacks <names>", `of ${stackNames.join(", ")}`, listOf(stackNames, "stacks"))
    .option("--loads <names>", `of ${loadNames.join(", ")}`, listOf(loadNames, "loads"))
    .option("--rounds <n>", "how often every stack is brought up", positive)
    .option("--seconds <n>", "how long each load is measured", positive)
    .option(
      "--contents <sizes>",
      "larger meshes for ambit, by policies and workloads: 100p,10000w; or none",
      contentsOf,
    )
    .option(
      "--compare <git ref>",
      "ambit as it was then beside ambit as it is now, and nothing else",
    )
    .option(
      "--from <report.json>",
      "show a report again, as table, page and summary, without measuring",
    )
    .option("--out <folder>", "where the reports go", "bench")
    .addOption(new Option("--inside <spec>").hideHelp())
    .addOption(new Option("--grpc-server <port>").argParser(positive).hideHelp())
    .addOption(new Option("--grpc-client <work>").hideHelp())
    .action((part: string | undefined, options: BenchOptions) => run(io, part, options));
}
