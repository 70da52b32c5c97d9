/** What a benchmark consists of, as data that passes between the outside and the sandboxes. */

export const stackNames = [
  "direct",
  "ambit",
  "ambit-waypoint",
  "envoy-waypoint",
  "sidecars",
  "ztunnel",
] as const;
export type StackName = (typeof stackNames)[number];

/** What a reader of the report sees. */
export const stackTitles: Readonly<Record<StackName, string>> = {
  direct: "no mesh",
  ambit: "ambit L4: two ztunnels, HBONE, policy, metrics and access log on",
  "ambit-waypoint": "ambit L4 and L7: the same with a waypoint between",
  "envoy-waypoint": "ambit L4 with Envoy, one worker, in the waypoint's place (HTTP/1.1 port only)",
  sidecars: "sidecars: an Envoy beside each pod, mutual TLS 1.3, HTTP filters, access log, RBAC",
  ztunnel: "Istio's ztunnel (ZTUNNEL_BIN) in ambit's place",
};

export const loadNames = [
  "bulk-1",
  "bulk-4",
  "http-1",
  "http-32",
  "http-256",
  "http-rate",
  "connections",
  "http2",
  "beside-bulk",
  "sizes",
  "idle",
] as const;
export type LoadName = (typeof loadNames)[number];

export const loadTitles: Readonly<Record<LoadName, string>> = {
  "bulk-1": "one stream as fast as it goes (iperf3)",
  "bulk-4": "four streams as fast as they go (iperf3)",
  "http-1": "1 KB answers, 1 client (wrk)",
  "http-32": "1 KB answers, 32 clients (wrk)",
  "http-256": "1 KB answers, 256 clients (wrk)",
  "http-rate": "1 KB answers at a fixed 2000 a second, 32 clients (h2load)",
  connections: "a new connection for every request, 8 clients (wrk)",
  http2: "HTTP/2 streams of a gRPC shape, 4 connections of 16 (h2load)",
  "beside-bulk": "1 KB answers, 4 clients, beside four bulk streams (wrk, iperf3)",
  sizes: "answers of 1, 10, 100 and 1000 KB mixed, 16 clients (wrk)",
  idle: "idle connections",
};

/** The state that ztunnels hold besides what the world needs. */
export interface MeshContent {
  readonly policies: number;
  readonly workloads: number;
}

/** One stack brought up once, and what is done to it. */
export interface RunSpec {
  readonly stack: StackName;
  /** Stands beside the name when one stack is measured in several forms: a version, a mesh's size. */
  readonly variant: string;
  /** The command line of `ambit` that is measured: node, flags, program. */
  readonly program: readonly string[];
  readonly loads: readonly LoadName[];
  readonly seconds: number;
  readonly idleConnections: number;
  readonly content: MeshContent;
}

export type Unit =
  | "Gbit/s"
  | "1/s"
  | "ms"
  | "us CPU/request"
  | "us CPU/connection"
  | "ms CPU/GB"
  | "MB"
  | "KB/connection";

/** One measured number: a load, what of it, and how much. */
export interface Sample {
  readonly load: LoadName | "memory" | "start" | "push";
  readonly figure: string;
  readonly unit: Unit;
  readonly value: number;
}

export interface RunResult {
  readonly stack: StackName;
  readonly variant: string;
  readonly samples: readonly Sample[];
  /** Loads that could not be run, and why. */
  readonly missing: readonly { readonly load: string; readonly reason: string }[];
}
