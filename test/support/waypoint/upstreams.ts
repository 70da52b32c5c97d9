/** Live clusters over loopback: configurations with few words, and requests whose whole fate is kept. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { MeshError } from "../../../src/shared/base/errors.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import { hostNetwork } from "../../../src/shared/os/pod-network.ts";
import {
  Fields,
  type HttpProtocol,
  type RequestHead,
  type ResponseHead,
} from "../../../src/waypoint/http/message.ts";
import type { BodyWriter, DownstreamInfo, ResetReason } from "../../../src/waypoint/http/stream.ts";
import type { ClusterConfig } from "../../../src/waypoint/model/cluster.ts";
import type {
  Assignment,
  EndpointConfig,
  EndpointTarget,
} from "../../../src/waypoint/model/endpoints.ts";
import type { UpstreamSecrets } from "../../../src/waypoint/upstream/dial/secrets.ts";
import type {
  Cluster,
  Endpoint,
  PickFacts,
  UpstreamFailure,
  UpstreamReceiver,
} from "../../../src/waypoint/upstream/upstream.ts";
import {
  createUpstreams,
  type Upstreams,
  type UpstreamsDeps,
} from "../../../src/waypoint/upstream/upstreams.ts";
import { portOf } from "../hbone.ts";

export function clusterConfig(more: Partial<ClusterConfig> = {}): ClusterConfig {
  const name = more.name ?? "c";
  return {
    name,
    statName: name,
    discovery: { kind: "eds", serviceName: name },
    connectTimeoutMs: 2000,
    balance: { kind: "round-robin", slowStart: undefined },
    panicThresholdPercent: 0,
    localityWeighted: false,
    breakers: {
      maxConnections: 1000,
      maxPendingRequests: 1000,
      maxRequests: 1000,
      maxRetries: 3,
      retryBudget: undefined,
    },
    outlier: undefined,
    http: upstreamHttp(),
    transport: { proxyProtocol: undefined, tls: undefined },
    transportMatches: [],
    keepAlive: undefined,
    service: undefined,
    origin: undefined,
    subset: undefined,
    ...more,
  };
}

export function upstreamHttp(more: Partial<ClusterConfig["http"]> = {}): ClusterConfig["http"] {
  return {
    protocol: "http1",
    idleTimeoutMs: 0,
    maxConnectionDurationMs: 0,
    maxRequestsPerConnection: 0,
    maxStreamDurationMs: 0,
    http1: { preserveHeaderCase: false, enableTrailers: false },
    http2: {
      maxConcurrentStreams: 2 ** 30,
      streamWindowBytes: undefined,
      connectionWindowBytes: undefined,
      keepaliveIntervalMs: 0,
      keepaliveTimeoutMs: 0,
    },
    autoSni: false,
    autoSanValidation: false,
    ...more,
  };
}

export function endpointAt(
  target: number | EndpointTarget,
  more: Partial<EndpointConfig> = {},
): EndpointConfig {
  const resolved: EndpointTarget =
    typeof target === "number"
      ? { kind: "tcp", address: { ip: ipOf("127.0.0.1"), port: target }, additional: [] }
      : target;
  const text =
    resolved.kind === "tcp" || resolved.kind === "hbone"
      ? `${resolved.address.ip}:${resolved.address.port}`
      : resolved.kind;
  return {
    hostText: text,
    target: resolved,
    hostname: "",
    weight: 1,
    health: "healthy",
    hashKey: undefined,
    workload: undefined,
    transportMatch: new Map(),
    ...more,
  };
}

export function assignment(
  endpoints: readonly (number | EndpointConfig)[],
  cluster = "c",
): Assignment {
  return {
    cluster,
    localities: [
      {
        locality: { region: "", zone: "", subZone: "" },
        weight: 1,
        priority: 0,
        endpoints: endpoints.map((each) => (typeof each === "number" ? endpointAt(each) : each)),
      },
    ],
    overprovisioningFactor: 140,
    weightedPriorityHealth: false,
  };
}

export const noSecrets: UpstreamSecrets = {
  workload: () => Promise.reject(new MeshError("identity-unavailable", "no certificate here")),
  certificate: () => undefined,
  trust: () => undefined,
};

export function upstreams(more: Partial<UpstreamsDeps> = {}): Upstreams {
  return createUpstreams({
    clock: systemClock,
    random: Math.random,
    network: hostNetwork(systemClock),
    secrets: noSecrets,
    peerOf: () => undefined,
    networkName: "",
    ...more,
  });
}

export const downstream: DownstreamInfo = {
  peerPrincipal: "spiffe://cluster.local/ns/shop/sa/web",
  localPrincipal: undefined,
  source: { ip: "10.10.1.10", port: 40000 },
  destination: { ip: "10.96.1.1", port: 80 },
  connectAuthority: "10.96.1.1:80",
  connectHeaders: [],
  requestedServerName: undefined,
  connectionId: 1,
  startedWallMs: 0,
};

export function facts(more: Partial<PickFacts> = {}): PickFacts {
  return {
    hash: undefined,
    downstream,
    downstreamProtocol: "HTTP/1.1",
    tried: [],
    hostSelectionAttempts: 0,
    authority: "shop.test",
    ...more,
  };
}

export function getHead(path = "/", method = "GET"): RequestHead {
  return {
    method,
    scheme: "http",
    authority: "shop.test",
    path,
    fields: new Fields(),
    upgrade: undefined,
  };
}

/** What became of a request. */
export type Fate =
  | { readonly kind: "answer"; readonly status: number; readonly body: string }
  | { readonly kind: "reset"; readonly reason: ResetReason }
  | { readonly kind: "unavailable"; readonly failure: UpstreamFailure };

export class Collector implements UpstreamReceiver {
  readonly fate: Promise<Fate>;
  protocol: HttpProtocol | undefined;
  localAddress: string | undefined;
  reused: boolean | undefined;
  answer: ResponseHead | undefined;
  writer: BodyWriter | undefined;
  writables = 0;
  #body = "";
  #settle: ((fate: Fate) => void) | undefined;

  constructor() {
    this.fate = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  connected(info: {
    protocol: HttpProtocol;
    localAddress: string | undefined;
    reused: boolean;
  }): void {
    this.protocol = info.protocol;
    this.localAddress = info.localAddress;
    this.reused = info.reused;
  }

  unavailable(failure: UpstreamFailure): void {
    this.#settle?.({ kind: "unavailable", failure });
  }

  interim(): void {
    // Nothing to keep.
  }

  head(head: ResponseHead, endStream: boolean): void {
    this.answer = head;
    if (endStream) this.end();
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    this.#body += bytes.toString("latin1", start, end);
    return true;
  }

  end(): void {
    this.#settle?.({ kind: "answer", status: this.answer?.status ?? 0, body: this.#body });
  }

  reset(reason: ResetReason): void {
    this.#settle?.({ kind: "reset", reason });
  }

  writable(): void {
    this.writables++;
  }
}

export function pickOf(cluster: Cluster, more: Partial<PickFacts> = {}): Endpoint {
  const picked = cluster.pick(facts(more));
  if (picked.kind === "none") throw new Error(`nobody to pick: ${picked.flag}`);
  return picked.endpoint;
}

/** One GET, as the exchange would send it; outcomes are reported. */
export async function get(
  cluster: Cluster,
  more: Partial<PickFacts> = {},
): Promise<Fate & { collector: Collector }> {
  const collector = start(cluster, more);
  return { ...(await collector.fate), collector };
}

export function start(cluster: Cluster, more: Partial<PickFacts> = {}): Collector {
  const endpoint = pickOf(cluster, more);
  const collector = new Collector();
  collector.writer = cluster.request(endpoint, getHead(), true, collector, facts(more));
  void collector.fate.then((fate) => {
    if (fate.kind === "answer")
      cluster.report(endpoint, { kind: "status", status: fate.status, grpcStatus: undefined });
    else
      cluster.report(endpoint, { kind: fate.kind === "reset" ? "reset" : "local-origin-failure" });
  });
  return collector;
}

/** Raw TCP servers, closed together with their connections. */
export class Servers {
  readonly #servers: { readonly server: Server; readonly sockets: Set<Socket> }[] = [];

  async listen(onSocket: (socket: Socket) => void, port = 0, ip = "127.0.0.1"): Promise<number> {
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
      socket.on("end", () => socket.end());
      onSocket(socket);
    });
    await once(server.listen(port, ip), "listening");
    this.#servers.push({ server, sockets });
    return portOf(server);
  }

  /** Answers each request head with what `answer` says. */
  http(answer: (head: string, count: number) => string, port = 0): Promise<number> {
    return this.listen((socket) => {
      let held = "";
      let count = 0;
      socket.on("data", (chunk: Buffer) => {
        held += chunk.toString("latin1");
        for (let end = held.indexOf("\r\n\r\n"); end >= 0; end = held.indexOf("\r\n\r\n")) {
          const head = held.slice(0, end);
          held = held.slice(end + 4);
          socket.write(answer(head, ++count));
        }
      });
    }, port);
  }

  connections(): number {
    return this.#servers.reduce((sum, { sockets }) => sum + sockets.size, 0);
  }

  close(): void {
    for (const { server, sockets } of this.#servers) {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
    this.#servers.length = 0;
  }
}

export const ok = (body: string, status = 200): string =>
  `HTTP/1.1 ${status} OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
