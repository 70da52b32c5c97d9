/** What processes cost: CPU time and memory as the kernel counts them. */
import { readFileSync } from "node:fs";

/** Clock ticks of /proc are hundredths of a second on Linux. */
const MS_PER_TICK = 10;

function proc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** User and system time of a process and its threads so far, in milliseconds. */
export function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    // The name may hold spaces; what follows its closing parenthesis does not.
    const fields = proc(pid, "stat").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks * MS_PER_TICK;
}

/** Resident memory in MB. */
export function residentMb(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) kib += Number(/^VmRSS:\s+(\d+)/m.exec(proc(pid, "status"))?.[1] ?? 0);
  return kib / 1024;
}
