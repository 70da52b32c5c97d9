/** h2load: requests at a fixed rate, and HTTP/2 streams. */
import { median } from "../figures.ts";

export interface H2loadOptions {
  readonly url: string;
  readonly clients: number;
  readonly streams: number;
  readonly seconds: number;
  readonly http1: boolean;
  /** Requests a second of each client; undefined: as fast as they go. */
  readonly ratePerClient?: number;
  /** h2load writes one line a request here: start in us, status, duration in us. */
  readonly logFile: string;
}

export function h2loadCommand(options: H2loadOptions): readonly string[] {
  const { ratePerClient } = options;
  const total = (ratePerClient ?? 0) * options.clients * options.seconds;
  return [
    "h2load",
    ...["--clients", String(options.clients)],
    ...["--max-concurrent-streams", String(options.streams)],
    ...(options.http1 ? ["--h1"] : []),
    ...(ratePerClient === undefined
      ? ["--duration", String(options.seconds)]
      : ["--rps", String(ratePerClient), "--requests", String(Math.round(total))]),
    `--log-file=${options.logFile}`,
    options.url,
  ];
}

export interface H2loadResult {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** The log file of a run. */
export function parseH2loadLog(text: string): H2loadResult {
  const durations: number[] = [];
  for (const line of text.split("\n")) {
    const [, status, us] = line.split("\t");
    if (status === "200" && us !== undefined) durations.push(Number(us) / 1_000);
  }
  if (durations.length === 0) throw new Error("h2load had no good answer");
  durations.sort((a, b) => a - b);
  const at = (share: number): number =>
    durations[Math.min(durations.length - 1, Math.floor(share * durations.length))] ?? Number.NaN;
  return {
    requests: durations.length,
    p50Ms: median(durations),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
  };
}
