/** What a reader must know to judge the numbers: machine, kernel, versions, load before the start. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import { basename } from "node:path";

export interface Environment {
  /** UTC, to the second. */
  readonly takenAt: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly openssl: string;
  readonly loadBefore: number;
  readonly tools: readonly string[];
}

type Call = readonly [command: string, ...args: string[]];

const tools: readonly Call[] = [
  ["wrk", "--version"],
  ["h2load", "--version"],
  ["iperf3", "--version"],
  ["nginx", "-v"],
];

/** `peers` are the programs that ambit is compared with, as far as they are here. */
export function describeEnvironment(peers: readonly Call[]): Environment {
  return {
    takenAt: firstLine("date", ["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
    openssl: process.versions.openssl,
    loadBefore: loadavg()[0] ?? Number.NaN,
    tools: [...tools, ...peers].map(([command, ...args]) =>
      versionLine(command, firstLine(command, args)),
    ),
  };
}

function firstLine(command: string, args: readonly string[]): string {
  try {
    const text = execFileSync("sh", ["-c", '"$@" 2>&1 || true', "sh", command, ...args], {
      encoding: "utf8",
    });
    return text.trim().split("\n")[0]?.trim() ?? command;
  } catch {
    return `${command}: unknown version`;
  }
}

/** What a program says of itself, under its name and without the folder in which it lies here. */
export function versionLine(command: string, line: string): string {
  const name = basename(command);
  const text = line.replaceAll(command, name);
  return text.includes(name) ? text : `${name}: ${text}`;
}
