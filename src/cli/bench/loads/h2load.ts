/** h2load: requests at a fixed rate, and HTTP/2 streams. */

export interface H2loadOptions {
  readonly url: string;
  readonly clients: number;
  readonly streams: number;
  readonly seconds: number;
  readonly http1: boolean;
  /** Requests a second of all clients; undefined: as fast as they go. */
  readonly rate?: number;
  /** h2load writes one line a request here: start in us since 1970, status, duration in us. */
  readonly logFile: string;
}

export function h2loadCommand(options: H2loadOptions): readonly string[] {
  const { rate, clients, seconds } = options;
  return [
    "h2load",
    ...["--clients", String(clients)],
    ...["--max-concurrent-streams", String(options.streams)],
    ...(options.http1 ? ["--h1"] : []),
    ...(rate === undefined ? ["--duration", String(seconds)] : paced(rate, clients, seconds)),
    `--log-file=${options.logFile}`,
    options.url,
  ];
}

/**
 * Clients that all start at once would send all their requests at the same moments, and what is measured would be the
 * queue of these. So each starts a step after the other.
 */
function paced(rate: number, clients: number, seconds: number): readonly string[] {
  const each = rate / clients;
  const stepMs = Math.max(1, Math.round(1_000 / rate));
  const apart = clients === 1 ? [] : ["--rate", "1", "--rate-period", `${stepMs}ms`];
  const requests = Math.ceil(each * seconds) * clients;
  return [...apart, "--rps", String(each), "--requests", String(requests)];
}

/** Good answers in its log to requests that began within a time: how long each took, in milliseconds. */
export function h2loadDurationsMs(
  log: string,
  fromWallMs = Number.NEGATIVE_INFINITY,
  toWallMs = Number.POSITIVE_INFINITY,
): readonly number[] {
  const durations: number[] = [];
  for (const line of log.split("\n")) {
    const [start, status, us] = line.split("\t");
    if (status !== "200" || us === undefined) continue;
    const startMs = Number(start) / 1_000;
    if (startMs >= fromWallMs && startMs < toWallMs) durations.push(Number(us) / 1_000);
  }
  if (durations.length === 0) throw new Error("h2load had no good answer");
  return durations;
}
