/**
 * Holds each data-path thread of a ztunnel to a share of a CPU, while clients, servers and everything else have what they want.
 * So the machine has CPU to spare although it has few, and whether two threads do twice the work of one can be seen: what this
 * shows is that the work divides, not what a second core's cache and memory bandwidth are worth.
 *
 * AMBIT_BENCH_THREAD_CPU=15 means 15 % of a CPU for each thread. It takes the cpu controller of cgroup v1, which alone knows
 * threads without further ado.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const CONTROLLER = "/sys/fs/cgroup/cpu";
const PREFIX = "ambit-bench-";
/** Short, so that the pauses do not decide about latencies. */
const PERIOD_US = 10_000;

/** What the variable says; undefined when it is not set. */
export function threadShare(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const text = env["AMBIT_BENCH_THREAD_CPU"];
  if (text === undefined || text === "") return undefined;
  const percent = Number(text);
  if (!(percent >= 10 && percent <= 100))
    throw new RangeError("AMBIT_BENCH_THREAD_CPU: expected a percentage from 10 to 100");
  return percent / 100;
}

/** The main thread, and those that carry bytes beside it. */
function dataPathThreads(pid: number): readonly number[] {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder)
    .map(Number)
    .filter((tid) => tid === pid || nameOf(folder, tid).startsWith("data path"));
}

function nameOf(folder: string, tid: number): string {
  return readFileSync(join(folder, String(tid), "comm"), "utf8");
}

/** Earlier runs end with their sandbox and leave their empty groups behind. */
function removeLeftOver(): void {
  for (const name of readdirSync(CONTROLLER)) {
    if (!name.startsWith(PREFIX)) continue;
    try {
      rmdirSync(join(CONTROLLER, name));
    } catch {
      // Somebody is in it: another benchmark.
    }
  }
}

/** From now on; threads that start later are not held. */
export function holdThreads(pids: readonly number[], share: number): void {
  if (!existsSync(join(CONTROLLER, "tasks")))
    throw new Error("AMBIT_BENCH_THREAD_CPU needs the cpu controller of cgroup v1");
  removeLeftOver();
  for (const [place, tid] of pids.flatMap(dataPathThreads).entries()) {
    const group = join(CONTROLLER, `${PREFIX}${process.pid}-${tid}-${place}`);
    mkdirSync(group);
    writeFileSync(join(group, "cpu.cfs_period_us"), String(PERIOD_US));
    writeFileSync(join(group, "cpu.cfs_quota_us"), String(Math.round(PERIOD_US * share)));
    writeFileSync(join(group, "tasks"), String(tid));
  }
}
