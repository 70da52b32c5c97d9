/** The words of `ambit bench`'s command line. */
import { InvalidArgumentError } from "commander";
import { parseContent, type Scope } from "./plan.ts";
import { type LoadName, loadNames, type MeshContent, type StackName, stackNames } from "./spec.ts";

export interface BenchOptions {
  readonly quick?: boolean;
  readonly stacks?: readonly StackName[];
  readonly loads?: readonly LoadName[];
  readonly rounds?: number;
  readonly seconds?: number;
  readonly contents?: readonly MeshContent[];
  readonly out: string;
  readonly compare?: string;
  /** A report.json that is shown again. */
  readonly from?: string;
  /** A run inside its sandbox, as JSON. */
  readonly inside?: string;
  /** Port. */
  readonly grpcServer?: number;
  /** What to do, as JSON. */
  readonly grpcClient?: string;
}

export function listOf<T extends string>(
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

export function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("a positive whole number");
  return value;
}

/** `100p,10000w`, or `none`. */
export function contentsOf(text: string): readonly MeshContent[] {
  if (text === "none") return [];
  return text.split(",").map((word) => {
    const content = parseContent(word);
    if (content === undefined)
      throw new InvalidArgumentError("numbers of policies (100p) and workloads (10000w), or: none");
    return content;
  });
}

/** What a benchmark does that was not told otherwise. */
interface DefaultScope extends Scope {
  readonly stacks: readonly StackName[];
}

/** Of `--quick`. */
export const quickScope: DefaultScope = {
  stacks: stackNames.filter((name) => name !== "ambit-workers"),
  loads: [
    "cold",
    "bulk-1",
    "bulk-4",
    "http-1",
    "http-32",
    "rate-32",
    "connections",
    "http2",
    "grpc",
    "beside-bulk",
  ],
  rounds: 1,
  sideRounds: 1,
  seconds: 1,
  warmUpMs: 300,
  idleConnections: 1_000,
  contents: contentsOf("10000w"),
};

export const fullScope: DefaultScope = {
  stacks: stackNames,
  loads: loadNames,
  rounds: 4,
  sideRounds: 2,
  seconds: 3,
  warmUpMs: 1_000,
  idleConnections: 10_000,
  contents: contentsOf("100p,10000p,100w,10000w,100000w"),
};
