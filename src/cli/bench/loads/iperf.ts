/** iperf3: bytes as fast as they go. */

interface IperfTarget {
  readonly host: string;
  readonly port: number;
  readonly streams: number;
}

function client({ host, port, streams }: IperfTarget): readonly string[] {
  return ["iperf3", "--client", host, "--port", String(port), "--parallel", String(streams)];
}

export function iperfCommand(target: IperfTarget, seconds: number): readonly string[] {
  return [...client(target), "--time", String(seconds), "--json"];
}

/** So many bytes, and an orderly end: its server serves one client at a time. */
export function iperfWarmUpCommand(target: IperfTarget, bytes: number): readonly string[] {
  return [...client(target), "--bytes", String(bytes)];
}

export interface IperfResult {
  readonly bytes: number;
  readonly gbitPerSecond: number;
}

interface IperfReport {
  readonly error?: string;
  readonly end?: {
    readonly sum_received?: { readonly bytes?: number; readonly bits_per_second?: number };
  };
}

export function parseIperf(text: string): IperfResult {
  const report = JSON.parse(text) as IperfReport;
  const received = report.end?.sum_received;
  if (!received?.bytes) throw new Error(`iperf3 moved nothing: ${report.error ?? "no report"}`);
  return { bytes: received.bytes, gbitPerSecond: (received.bits_per_second ?? 0) / 1e9 };
}
