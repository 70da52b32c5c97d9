/** What telemetry needs from the process around it; handed to the compilers so that compiling stays free of I/O. */

/** Takes finished lines, each with its line feed; writes them in batches, never blocks a request. */
export interface LineSink {
  write(line: string): void;
}

/** Who this proxy is, for log operators, tags and expressions. */
export interface ProxyIdentity {
  /** `waypoint~<ip>~<pod>.<ns>~<domain>`. */
  readonly nodeId: string;
  /** node.cluster: `<sa>.<ns>`; service name of spans. */
  readonly nodeCluster: string;
  readonly hostname: string;
  /** Of the pod: endpoint of spans. */
  readonly ip: string;
  readonly namespace: string;
  readonly istioVersion: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface TelemetryEnvironment {
  readonly proxy: ProxyIdentity;
  /** The same sink for the same path as long as the process lives. `/dev/stdout`, `/dev/stderr` or a file. */
  sink(path: string): LineSink;
  /** %ENVIRONMENT(X)% and custom tags. */
  variable(name: string): string | undefined;
  /** [0, 1): sampling. */
  random(): number;
}

const silent: LineSink = { write: () => undefined };

/** For compiling without running: `why`, tests of compilers. */
export function inertEnvironment(proxy: Partial<ProxyIdentity> = {}): TelemetryEnvironment {
  return {
    proxy: {
      nodeId: "",
      nodeCluster: "",
      hostname: "",
      ip: "0.0.0.0",
      namespace: "",
      istioVersion: "",
      metadata: {},
      ...proxy,
    },
    sink: () => silent,
    variable: () => undefined,
    random: () => 0.5,
  };
}
