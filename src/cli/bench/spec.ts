/** What a benchmark consists of, as data that passes between the outside and the sandboxes. */

export const stackNames = [
  "direct",
  "ambit",
  "ambit-workers",
  "ambit-waypoint",
  "envoy-waypoint",
  "sidecars",
  "ztunnel",
] as const;
export type StackName = (typeof stackNames)[number];

/** What a reader of the report sees. */
export const stackTitles: Readonly<Record<StackName, string>> = {
  direct: "no mesh",
  ambit: "L4: two ztunnels, HBONE, policy, metrics and access log on",
  "ambit-workers": "L4 with two data-path threads a ztunnel, however many CPUs there are",
  "ambit-waypoint": "L4 and L7: the same with a waypoint between",
  "envoy-waypoint": "ambit's L4 with Envoy, one worker, in the waypoint's place",
  sidecars:
    "an Envoy of two workers beside each pod, mutual TLS 1.3, HTTP filters, access log, RBAC",
  ztunnel: "Istio's ztunnel (ZTUNNEL_BIN) in ambit's place",
};

export const loadNames = [
  "cold",
  "bulk-1",
  "bulk-4",
  "http-1",
  "http-32",
  "http-256",
  "rate-1",
  "rate-32",
  "rate-256",
  "connections",
  "http2",
  "grpc",
  "beside-bulk",
  "sizes",
  "idle",
] as const;
export type LoadName = (typeof loadNames)[number];

/** Requests a second of the loads at a fixed rate: the load at which Istio publishes the cost of its proxies. */
export const FIXED_RATE = 1_000;

export const loadTitles: Readonly<Record<LoadName, string>> = {
  cold: "the first second of requests after the start: 1 KB answers, 32 clients (wrk)",
  "bulk-1": "one stream as fast as it goes (iperf3)",
  "bulk-4": "four streams as fast as they go (iperf3)",
  "http-1": "1 KB answers, 1 client (wrk)",
  "http-32": "1 KB answers, 32 clients (wrk)",
  "http-256": "1 KB answers, 256 clients (wrk)",
  "rate-1": `1 KB answers at ${FIXED_RATE} a second, 1 client (h2load)`,
  "rate-32": `1 KB answers at ${FIXED_RATE} a second, 32 clients in turn (h2load)`,
  "rate-256": `1 KB answers at ${FIXED_RATE} a second, 256 clients in turn (h2load)`,
  connections: "a new connection for every request, 8 clients (wrk)",
  http2: "HTTP/2 requests, 1 KB answers, 4 connections of 16 (h2load)",
  grpc: "gRPC: 32 streams both ways, a 1 KB message at a time, 4 connections (grpc-js)",
  "beside-bulk": "1 KB answers, 4 clients, beside four bulk streams (wrk, iperf3)",
  sizes: "answers of 1, 10, 100 and 1000 KB mixed, 16 clients (wrk)",
  idle: "connections that were used once and now are idle",
};

/** What is looked at beside the loads. */
export const besideNames = ["memory", "start", "push"] as const;
export type BesideName = (typeof besideNames)[number];

const besideTitles: Readonly<Record<BesideName, string>> = {
  memory: "resident memory; the data path is all proxies on the way",
  start:
    "from the first process to an answer through the mesh; with ambit's control plane a second more, to settle",
  push: "from a policy's file, written or removed, to the first connection that is treated accordingly",
};

/** What a load does, or what is looked at beside the loads. */
export function titleOf(name: LoadName | BesideName): string {
  return { ...loadTitles, ...besideTitles }[name];
}

/** The state that ztunnels hold besides what the world needs. */
export interface MeshContent {
  readonly policies: number;
  readonly workloads: number;
}

export const smallMesh: MeshContent = { policies: 1, workloads: 0 };

/** How long and how much each load works. */
export interface Effort {
  readonly seconds: number;
  /** Each load runs so long before it is measured. */
  readonly warmUpMs: number;
  readonly idleConnections: number;
}

/** One stack brought up once, and what is done to it. */
export interface RunSpec extends Effort {
  readonly stack: StackName;
  /** Stands beside the name when one stack is measured in several forms: a version, a mesh's size. */
  readonly variant: string;
  /** The command line of `ambit` that is measured: node, flags, program. */
  readonly program: readonly string[];
  /** That of this benchmark, whose parts are processes of their own. */
  readonly own: readonly string[];
  readonly loads: readonly LoadName[];
  readonly content: MeshContent;
}

export type Unit =
  | "Gbit/s"
  | "1/s"
  | "ms"
  | "us CPU/request"
  | "us CPU/connection"
  | "us CPU/message"
  | "ms CPU/GB"
  | "ms CPU"
  /** CPU seconds a second: 1 is one core, all the time. */
  | "cores"
  /** Of the time. */
  | "%"
  | "MB"
  | "KB/connection";

/** One measured number: a load, what of it, and how much. */
export interface Sample {
  readonly load: LoadName | BesideName;
  readonly figure: string;
  readonly unit: Unit;
  readonly value: number;
}

export interface RunResult {
  readonly stack: StackName;
  readonly variant: string;
  /** The mesh's size where it is not the small one. */
  readonly content?: MeshContent;
  readonly samples: readonly Sample[];
  /** Loads that could not be run, and why. */
  readonly missing: readonly { readonly load: string; readonly reason: string }[];
}
