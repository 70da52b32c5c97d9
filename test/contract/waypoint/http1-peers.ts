/** The same octets to ours and to Envoy, each in front of the same backend: what the client gets and what the log says. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { handleRequests } from "../../../src/waypoint/exchange/serve.ts";
import { Http1Server } from "../../../src/waypoint/http/http1/server.ts";
import { openingOf, openTransport } from "../../../src/waypoint/http/transport.ts";
import type { Route } from "../../../src/waypoint/model/route.ts";
import type { StreamRecord } from "../../../src/waypoint/telemetry/record.ts";
import { noTelemetry } from "../../../src/waypoint/telemetry/request-telemetry.ts";
import { Envoy } from "../../support/envoy.ts";
import { downstream } from "../../support/stream-record.ts";
import { chainOf, forwardTo, retryPolicy, routeOf } from "../../support/waypoint/chains.ts";
import { clustersOf, endpointAt, StaticCluster } from "../../support/waypoint/static-clusters.ts";

/** What came of one request. */
export interface Outcome {
  /** Of each answer on the connection. */
  readonly statuses: readonly number[];
  readonly body: string;
  /** The proxy ended the connection. */
  readonly closed: boolean;
  /** `status details flags`, sorted by what the log had. */
  readonly log: readonly string[];
  /** Everything that came. */
  readonly text: string;
}

export interface HttpPeer {
  readonly name: string;
  send(octets: string, options?: { readonly halfClose?: boolean }): Promise<Outcome>;
  stop(): Promise<void>;
}

/** Answers by the request's path. What it saw of each connection is kept. */
export class Backend {
  readonly server: Server;
  readonly seen: string[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(answers: Readonly<Record<string, (socket: Socket, attempt: number) => void>>) {
    const attempts = new Map<string, number>();
    this.server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => undefined);
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        if (end < 0) return;
        const head = text.slice(0, end);
        // A body of stated length belongs to it.
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        if (/\r\ntransfer-encoding: chunked/i.test(head) && !text.endsWith("0\r\n\r\n")) return;
        this.seen.push(text);
        text = "";
        const path = head.split(" ")[1]?.split("?")[0] ?? "";
        const attempt = (attempts.get(path) ?? 0) + 1;
        attempts.set(path, attempt);
        const answer = answers[path] ?? answers["/"];
        answer?.(socket, attempt);
      });
    });
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return (this.server.address() as AddressInfo).port;
  }

  stop(): void {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

const quietMs = 250;

async function talk(
  port: number,
  octets: string,
  halfClose: boolean,
): Promise<{ text: string; closed: boolean }> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  let closed = false;
  let last = Date.now();
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    last = Date.now();
  });
  const over = (): void => {
    closed = true;
  };
  socket.on("end", over);
  socket.on("error", over);
  socket.on("close", over);
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(Buffer.from(octets, "latin1"));
  if (halfClose) socket.end();
  const longest = Date.now() + 3000;
  while (!closed && Date.now() < longest && (text === "" || Date.now() - last < quietMs))
    await new Promise((resolve) => setTimeout(resolve, 10));
  socket.destroy();
  return { text, closed };
}

function outcomeOf({ text, closed }: { text: string; closed: boolean }, log: string[]): Outcome {
  const statuses = [...text.matchAll(/(?:^|\n|[^\r\n])HTTP\/1\.1 (\d{3})/g)].map((match) =>
    Number(match[1]),
  );
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  return { statuses, body, closed, log, text };
}

/** Ports of the clusters: "web" answers, "gone" refuses connections. */
export interface PeerPorts {
  readonly web: number;
  readonly gone: number;
}

/** By prefix: how requests are carried. */
export const routes: readonly (readonly [
  string,
  string,
  Partial<Parameters<typeof forwardTo>[1]>,
])[] = [
  ["/timeout", "web", { timeoutMs: 300 }],
  ["/gone", "gone", {}],
  ["/missing", "missing", {}],
  [
    "/retry",
    "web",
    {
      retry: retryPolicy(["5xx", "reset", "retriable-status-codes"], { avoidPreviousHosts: false }),
    },
  ],
  [
    "/connect-retry",
    "gone",
    { retry: retryPolicy(["connect-failure"], { avoidPreviousHosts: false }) },
  ],
  [
    "/pertry",
    "web",
    { timeoutMs: 2000, retry: retryPolicy(["5xx"], { perTryTimeoutMs: 200, attempts: 1 }) },
  ],
  ["/", "web", {}],
];

export async function startOurs(ports: PeerPorts): Promise<HttpPeer> {
  const web = new StaticCluster("web", [endpointAt(ports.web)]);
  const gone = new StaticCluster("gone", [endpointAt(ports.gone)]);
  const records: StreamRecord[] = [];
  const list: Route[] = routes.map(([value, cluster, change]) =>
    routeOf(
      { kind: "forward", forward: forwardTo(cluster, { clusterNotFoundStatus: 503, ...change }) },
      { path: { kind: "prefix", value, caseSensitive: true } },
    ),
  );
  const direct = routeOf(
    { kind: "direct", status: 200, body: "direct" },
    { path: { kind: "prefix", value: "/direct", caseSensitive: true } },
  );
  const chain = chainOf([direct, ...list], { mergeSlashes: true });
  const handling = handleRequests(
    {
      clusters: clustersOf(web, gone),
      telemetry: {
        ...noTelemetry,
        finish: (_chain, record) => records.push(record),
      },
      clock: systemClock,
      random: Math.random,
      sourcePeer: () => undefined,
    },
    () => chain,
  );
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const owner = { ...handling, clock: systemClock, connection: downstream() };
    new Http1Server(openTransport(openingOf(socket), systemClock), chain.http, owner).start();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    name: "ours",
    async send(octets, { halfClose = false } = {}) {
      records.length = 0;
      const talked = await talk(port, octets, halfClose);
      await new Promise((resolve) => setTimeout(resolve, 20));
      const log = records.map(
        ({ http, details, flags }) => `${http?.status} ${details ?? "-"} ${flags.join(",") || "-"}`,
      );
      return outcomeOf(talked, log);
    },
    async stop() {
      web.close();
      gone.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const type = (name: string): string => `type.googleapis.com/${name}`;

function envoyRoute(prefix: string, cluster: string, change: (typeof routes)[number][2]): object {
  const retry = change?.retry;
  return {
    match: { prefix },
    route: {
      cluster,
      timeout: `${(change?.timeoutMs ?? 0) / 1000}s`,
      cluster_not_found_response_code: "SERVICE_UNAVAILABLE",
      ...(retry === undefined
        ? {}
        : {
            retry_policy: {
              retry_on: [...retry.on].join(","),
              num_retries: retry.attempts,
              retriable_status_codes: retry.retriableStatuses,
              retry_back_off: { base_interval: "0.001s", max_interval: "0.01s" },
              ...(retry.perTryTimeoutMs === 0
                ? {}
                : { per_try_timeout: `${retry.perTryTimeoutMs / 1000}s` }),
            },
          }),
    },
  };
}

export async function startEnvoy(ports: PeerPorts): Promise<HttpPeer> {
  const dir = mkdtempSync(join(tmpdir(), "ambit-odd-"));
  const logFile = join(dir, "access");
  const cluster = (name: string, port: number): object => ({
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: {
                address: { socket_address: { address: "127.0.0.1", port_value: port } },
              },
            },
          ],
        },
      ],
    },
  });
  const manager = {
    "@type": type(
      "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    ),
    stat_prefix: "odd",
    codec_type: "HTTP1",
    use_remote_address: false,
    normalize_path: true,
    merge_slashes: true,
    server_name: "istio-envoy",
    proxy_100_continue: true,
    stream_idle_timeout: "0s",
    upgrade_configs: [{ upgrade_type: "websocket" }],
    delayed_close_timeout: "0.1s",
    access_log: [
      {
        name: "file",
        typed_config: {
          "@type": type("envoy.extensions.access_loggers.file.v3.FileAccessLog"),
          path: logFile,
          log_format: {
            text_format_source: {
              inline_string: "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%\n",
            },
          },
        },
      },
    ],
    route_config: {
      name: "odd",
      validate_clusters: false,
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [
            {
              match: { prefix: "/direct" },
              direct_response: { status: 200, body: { inline_string: "direct" } },
            },
            ...routes.map(([prefix, name, change]) => envoyRoute(prefix, name, change)),
          ],
        },
      ],
    },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": type("envoy.extensions.filters.http.router.v3.Router") },
      },
    ],
  };
  const envoy = await Envoy.start({
    listeners: [
      {
        name: "odd",
        address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
        filter_chains: [{ filters: [{ name: "hcm", typed_config: manager }] }],
      },
    ],
    clusters: [cluster("web", ports.web), cluster("gone", ports.gone)],
  });
  const port = envoy.port("odd");
  const readLog = (): string => {
    try {
      return readFileSync(logFile, "utf8");
    } catch {
      return "";
    }
  };
  return {
    name: "Envoy",
    async send(octets, { halfClose = false } = {}) {
      const before = readLog().length;
      const talked = await talk(port, octets, halfClose);
      const longest = Date.now() + 400;
      while (readLog().length === before && Date.now() < longest)
        await new Promise((resolve) => setTimeout(resolve, 20));
      await new Promise((resolve) => setTimeout(resolve, 80));
      const log = readLog().slice(before).split("\n").filter(Boolean);
      return outcomeOf(talked, log);
    },
    async stop() {
      await envoy.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
