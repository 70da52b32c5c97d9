/** One route configuration, given to Envoy and to our compiler; requests that both must treat alike. */
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { createRegistry, type DescMessage, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { RouteConfigurationSchema } from "../../../../src/shared/wire/gen/envoy/config/route/v3/route_pb.js";
import { UriTemplateMatchConfigSchema } from "../../../../src/shared/wire/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { PreviousHostsPredicateSchema } from "../../../../src/shared/wire/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import { compileRoutes } from "../../../../src/waypoint/compile/routes.ts";
import {
  Fields,
  type RequestHead,
  type ResponseHead,
} from "../../../../src/waypoint/http/message.ts";
import type { RouteTable } from "../../../../src/waypoint/model/route.ts";
import type { FormatFacts } from "../../../../src/waypoint/routing/format.ts";
import {
  chooseCluster,
  finalizeRequest,
  finalizeResponse,
} from "../../../../src/waypoint/routing/forward.ts";
import { mutateHeaders } from "../../../../src/waypoint/routing/headers.ts";
import { directLocation, redirectUrl } from "../../../../src/waypoint/routing/redirect.ts";
import { isGrpc, selectRoute } from "../../../../src/waypoint/routing/select.ts";
import { Envoy } from "../../../support/envoy.ts";

export interface ProbeRequest {
  readonly method?: string;
  readonly path: string;
  readonly host?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

/** What can be seen from outside. */
export interface Outcome {
  readonly status: number;
  readonly route: string | undefined;
  readonly location: string | undefined;
  /** Fields of the answer that begin with x-out-. */
  readonly out: readonly string[];
  /** How it reached the backend. */
  readonly seen: SeenRequest | undefined;
}

export interface SeenRequest {
  readonly path: string;
  readonly host: string;
  /** Names that begin with x-t-, x-forwarded-host, x-envoy-original-path: `name: value`, sorted. */
  readonly headers: readonly string[];
}

const registry = createRegistry(
  UriTemplateMatchConfigSchema,
  PreviousHostsPredicateSchema as DescMessage,
);

export function compiledTable(config: JsonValue): RouteTable {
  const message = fromJson(RouteConfigurationSchema, config, { registry });
  return compileRoutes(message, "route_config", new Notes(), { perRoute: () => undefined });
}

/** Answers with what it got. */
export class Backend {
  readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(): Promise<Backend> {
    const server = createServer((request, response) => {
      const flat = request.rawHeaders;
      const headers: string[] = [];
      for (let at = 0; at < flat.length; at += 2)
        headers.push(`${(flat[at] ?? "").toLowerCase()}: ${flat[at + 1]}`);
      const seen: SeenRequest = {
        path: request.url ?? "",
        host: request.headers.host ?? "",
        headers: headers.filter(isShown).sort(),
      };
      response.setHeader("x-seen", JSON.stringify(seen));
      response.setHeader("x-out-backend", "yes");
      response.end("ok");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Backend(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

function isShown(line: string): boolean {
  return /^(x-t-|x-forwarded-host:|x-envoy-original-path:)/.test(line);
}

const HCM =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

export async function envoyWith(
  configs: Readonly<Record<string, JsonValue>>,
  backendPort: number,
  options: Readonly<Record<string, object>> = {},
): Promise<Envoy> {
  const listeners = Object.entries(configs).map(([name, route_config]) => ({
    name,
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    filter_chains: [
      {
        filters: [
          {
            name: "http",
            typed_config: {
              "@type": HCM,
              stat_prefix: name,
              ...options[name],
              route_config,
              http_filters: [{ name: "router", typed_config: { "@type": ROUTER } }],
            },
          },
        ],
      },
    ],
  }));
  return Envoy.start({ listeners, clusters: ["a", "b"].map((name) => cluster(name, backendPort)) });
}

function cluster(name: string, port: number): object {
  const address = { socket_address: { address: "127.0.0.1", port_value: port } };
  return {
    name,
    connect_timeout: "2s",
    type: "STATIC",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
  };
}

export function askEnvoy(port: number, request: ProbeRequest): Promise<Outcome> {
  const lines = [
    `${request.method ?? "GET"} ${request.path} HTTP/1.1`,
    `host: ${request.host ?? "probe.test"}`,
    ...(request.headers ?? []).map(([name, value]) => `${name}: ${value}`),
  ];
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (piece: string) => {
      text += piece;
      // Envoy holds a connection for a second after the answer.
      if (!text.includes("\r\n\r\n")) return;
      socket.destroy();
      resolve(parsed(text));
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`Envoy closed after ${JSON.stringify(text)}`)));
    socket.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
  });
}

function parsed(text: string): Outcome {
  const [status = "", ...lines] = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n");
  const value = (name: string) =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const seen = value("x-seen");
  return {
    status: Number(status.slice(9, 12)),
    route: value("x-route"),
    location: value("location"),
    out: lines.filter((line) => line.startsWith("x-out-")).sort(),
    seen: seen === undefined ? undefined : (JSON.parse(seen) as SeenRequest),
  };
}

/** What our routing makes of the same request; with Envoy's own answer as the backend's. */
export function askOurs(table: RouteTable, request: ProbeRequest, random = Math.random): Outcome {
  const fields = new Fields(["x-forwarded-proto", "http"]);
  for (const [name, value] of request.headers ?? []) fields.append(name.toLowerCase(), value);
  const head: RequestHead = {
    method: request.method ?? "GET",
    scheme: "http",
    authority: request.host ?? "probe.test",
    path: request.path,
    fields,
    upgrade: undefined,
  };
  const route = selectRoute(table, head, { random, metadata: new Map() });
  const response: ResponseHead = { status: 200, fields: new Fields([]) };
  const facts = factsOf(head, response, route?.name);
  const outcome = (status: number, more: Partial<Outcome> = {}): Outcome => ({
    // What Envoy answers itself, it says to gRPC clients in trailers.
    status: isGrpc(head) ? 200 : status,
    route: response.fields.joined("x-route"),
    location: undefined,
    out: pairs(response.fields)
      .filter((line) => line.startsWith("x-out-"))
      .sort(),
    seen: undefined,
    ...more,
  });
  if (route === undefined) return outcome(404);
  const { action } = route;
  switch (action.kind) {
    case "none":
      return outcome(404);
    case "direct":
      response.status = action.status;
      mutateHeaders(route.responseHeaders, response.fields, facts);
      return outcome(action.status, { location: directLocation(action.status, head) });
    case "redirect": {
      const location = redirectUrl(action.redirect, route.path, head);
      mutateHeaders(route.responseHeaders, response.fields, facts);
      return outcome(action.redirect.status, { location });
    }
    case "forward": {
      const { weighted } = chooseCluster(action.forward.clusters, head, random());
      finalizeRequest(route, action.forward, weighted, { ...facts, response: undefined }, true);
      response.fields.append("x-out-backend", "yes");
      finalizeResponse(route, weighted, response, facts);
      const headers = pairs(head.fields).filter(isShown).sort();
      return outcome(200, { seen: { path: head.path, host: head.authority, headers } });
    }
  }
}

function pairs({ flat }: Fields): string[] {
  const lines: string[] = [];
  for (let at = 0; at < flat.length; at += 2) lines.push(`${flat[at]}: ${flat[at + 1]}`);
  return lines;
}

function factsOf(
  request: RequestHead,
  response: ResponseHead,
  routeName: string | undefined,
): FormatFacts {
  return {
    downstream: {
      peerPrincipal: undefined,
      localPrincipal: undefined,
      source: { ip: "127.0.0.1", port: 1 },
      destination: { ip: "127.0.0.1", port: 2 },
      connectAuthority: "",
      connectHeaders: [],
      requestedServerName: undefined,
      connectionId: 1,
      startedWallMs: 0,
    },
    protocol: "HTTP/1.1",
    request,
    response,
    startWallMs: 0,
    metadata: new Map(),
    routeName,
    upstream: undefined,
  };
}
