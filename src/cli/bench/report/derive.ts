/** Figures that follow from others: the columns in which Istio publishes the cost of a mesh. Pure. */
import type { Figure, StackFigures } from "../figures.ts";

export interface CostColumns {
  /** Virtual CPUs for 1000 requests a second of 1 KB. */
  readonly vcpuPer1000Rps: number;
  /** Resident memory of the data path at that load, in MB. */
  readonly memoryMb: number;
}

function find(stack: StackFigures, load: string, figure: string): Figure | undefined {
  return stack.figures.find((candidate) => candidate.load === load && candidate.figure === figure);
}

/** Undefined for a stack without processes of its own. */
export function costColumns(stack: StackFigures): CostColumns | undefined {
  const cpu = find(stack, "http-32", "CPU");
  const memory = find(stack, "memory", "data path, loaded");
  if (cpu === undefined || memory === undefined) return undefined;
  // So many microseconds of CPU for each of 1000 requests in a second.
  return { vcpuPer1000Rps: cpu.median / 1_000, memoryMb: memory.median };
}
