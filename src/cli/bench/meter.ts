/** What processes cost: CPU time and memory as the kernel counts them. */
import { readFileSync } from "node:fs";

/** Clock ticks of /proc are hundredths of a second on Linux. */
const MS_PER_TICK = 10;

function proc(pid: number | "self", file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** Fields of a process's `stat` from the third on, its state. */
function statFields(pid: number | "self"): readonly string[] {
  // The name may hold spaces; what follows its closing parenthesis does not.
  return proc(pid, "stat").split(") ")[1]?.split(" ") ?? [];
}

/** User and system time of processes and their threads so far, in milliseconds. */
export function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks * MS_PER_TICK;
}

/** The same of all children of this process that have ended: load generators, when they are done. */
export function endedChildrenCpuMs(): number {
  const fields = statFields("self");
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * MS_PER_TICK;
}

function statusMb(pids: readonly number[], field: "VmRSS" | "VmHWM"): number {
  const line = new RegExp(`^${field}:\\s+(\\d+)`, "m");
  let kib = 0;
  for (const pid of pids) kib += Number(line.exec(proc(pid, "status"))?.[1] ?? 0);
  return kib / 1024;
}

/** Resident memory in MB. */
export function residentMb(pids: readonly number[]): number {
  return statusMb(pids, "VmRSS");
}

/** The most that was ever resident. */
export function peakMb(pids: readonly number[]): number {
  return statusMb(pids, "VmHWM");
}
