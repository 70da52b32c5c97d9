/** wrk: requests over connections that stay open, or a new one for each. */
import type { Answered } from "./samples.ts";

export interface WrkOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: readonly string[];
  /** A Lua script; one that ends with `wrkEnd`. */
  readonly script: string;
}

/** Lua: wrk by itself prints no percentile above the 99th. */
export const wrkEnd = `
done = function(summary, latency)
  io.write(string.format("  99.9%% is %d us\\n", latency:percentile(99.9)))
end
`;

export function wrkCommand(options: WrkOptions): readonly string[] {
  return [
    "wrk",
    "--latency",
    "--threads",
    "1",
    ...["--connections", String(options.connections)],
    ...["--duration", `${options.seconds}s`],
    ...["--timeout", "10s"],
    ...["--script", options.script],
    ...(options.headers ?? []).flatMap((header) => ["--header", header]),
    options.url,
  ];
}

export interface WrkResult extends Answered {
  readonly failed: number;
}

const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };

function durationMs(text: string | undefined): number {
  const found = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? "");
  return found === null ? Number.NaN : Number(found[1]) * (unitMs[found[2] ?? ""] ?? Number.NaN);
}

/** What failed, if wrk has counted that; else what it said. */
function whyNone(text: string): string {
  return /Socket errors: .*/.exec(text)?.[0] ?? text.trim().slice(0, 200);
}

/** Throws when the text is not the report of a run that did something. */
export function parseWrk(text: string): WrkResult {
  const count = Number(/(\d+) requests in/.exec(text)?.[1]);
  if (!(count > 0)) throw new Error(`wrk made no requests: ${whyNone(text)}`);
  const percentile = (percent: number): number =>
    durationMs(new RegExp(`^\\s+${percent}%\\s+(\\S+)`, "m").exec(text)?.[1]);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const badStatus = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  const socketErrors = (errors ?? []).slice(1).reduce((sum, some) => sum + Number(some), 0);
  return {
    count,
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    latency: {
      p50Ms: percentile(50),
      p90Ms: percentile(90),
      p99Ms: percentile(99),
      p999Ms: Number(/^\s+99\.9% is (\d+) us/m.exec(text)?.[1]) / 1_000,
    },
    failed: socketErrors + badStatus,
  };
}
