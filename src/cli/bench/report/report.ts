/** Everything a benchmark found, as it is written to report.json. */
import type { Environment } from "../environment.ts";
import type { StackFigures } from "../figures.ts";
import type { MicroFigure } from "../micro/measure.ts";
import type { RunResult } from "../spec.ts";

export interface Report {
  /** ISO 8601. */
  readonly takenAt: string;
  /** The command that does the same again. */
  readonly command: string;
  /** How the benchmark is called here, for the commands of single figures. */
  readonly call: string;
  readonly environment: Environment;
  readonly rounds: number;
  readonly secondsPerLoad: number;
  readonly warmUpMs: number;
  readonly idleConnections: number;
  /** From the first run's start to the last one's end. */
  readonly tookSeconds: number;
  readonly stacks: readonly StackFigures[];
  readonly micro: readonly MicroFigure[];
  /** What could not be measured, and why: never left out in silence. */
  readonly absent: readonly { readonly what: string; readonly reason: string }[];
  readonly results: readonly RunResult[];
}
