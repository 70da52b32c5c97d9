/** The same filters in Envoy and in ours, the same requests to both, what comes of them side by side. */
import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createRegistry, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import {
  CorsPolicySchema,
  CorsSchema,
} from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { ExtAuthzSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { HTTPFaultSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { HeaderMutationSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { JwtAuthenticationSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { HttpFilterSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { UriTemplateMatchConfigSchema } from "../../../../src/shared/wire/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import {
  compileHttpFilter,
  compilePerRoute,
} from "../../../../src/waypoint/compile/filters/registry.ts";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import type { HttpFilter } from "../../../../src/waypoint/filters/filter.ts";
import type { UpstreamCalls } from "../../../../src/waypoint/filters/upstream-calls.ts";
import { Fields, type ResponseHead } from "../../../../src/waypoint/http/message.ts";
import { Envoy } from "../../../support/envoy.ts";
import {
  filterEnvironment,
  head,
  ScriptedCalls,
  TestRequest,
  verdictOf,
} from "../../../support/filters.ts";

const registry = createRegistry(
  AnySchema,
  CorsPolicySchema,
  CorsSchema,
  ExtAuthzSchema,
  HTTPFaultSchema,
  HeaderMutationSchema,
  JwtAuthenticationSchema,
  RBACSchema,
  UriTemplateMatchConfigSchema,
);

const http = "type.googleapis.com/envoy.extensions.filters.http";

export const typeUrls = {
  cors: `${http}.cors.v3.Cors`,
  corsPolicy: `${http}.cors.v3.CorsPolicy`,
  extAuthz: `${http}.ext_authz.v3.ExtAuthz`,
  fault: `${http}.fault.v3.HTTPFault`,
  headerMutation: `${http}.header_mutation.v3.HeaderMutation`,
  jwt: `${http}.jwt_authn.v3.JwtAuthentication`,
  rbac: `${http}.rbac.v3.RBAC`,
  router: `${http}.router.v3.Router`,
} as const;

export interface Scenario {
  readonly name: string;
  /** Without the router. */
  readonly filters: readonly { readonly name: string; readonly config: JsonObject }[];
  readonly perRoute?: Readonly<Record<string, JsonObject>>;
}

export interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What can be seen from outside. */
export interface Seen {
  readonly status: number;
  /** Of answers that the proxy itself gave. */
  readonly body: string | undefined;
  readonly details: string | undefined;
  readonly flags: string | undefined;
  /** Of the answer, without what every proxy adds. */
  readonly answered: readonly string[];
  /** What reached the upstream; undefined: nothing did. */
  readonly upstream: { readonly path: string; readonly headers: readonly string[] } | undefined;
}

const ordinary: ReadonlySet<string> = new Set([
  "date",
  "server",
  "connection",
  "content-length",
  "content-type",
  "transfer-encoding",
  "keep-alive",
  "host",
  "x-request-id",
  "x-forwarded-proto",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-upstream-service-time",
  "x-details",
  "x-flags",
]);

function seenHeaders(pairs: Iterable<readonly [string, string]>): readonly string[] {
  return [...pairs]
    .filter(([name]) => !ordinary.has(name))
    .map(([name, value]) => `${name}: ${value}`)
    .sort();
}

function pairsOf(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < flat.length; at += 2)
    pairs.push([(flat[at] ?? "").toLowerCase(), flat[at + 1] ?? ""]);
  return pairs;
}

export class Bench {
  readonly #envoy: Envoy;
  readonly #upstream: Server;
  readonly #scenarios: ReadonlyMap<string, Scenario>;
  readonly #calls: UpstreamCalls;

  private constructor(
    envoy: Envoy,
    upstream: Server,
    scenarios: readonly Scenario[],
    calls: UpstreamCalls,
  ) {
    this.#envoy = envoy;
    this.#upstream = upstream;
    this.#scenarios = new Map(scenarios.map((each) => [each.name, each]));
    this.#calls = calls;
  }

  static async start(
    scenarios: readonly Scenario[],
    clusters: readonly {
      readonly name: string;
      readonly port: number;
      readonly http2?: boolean;
    }[] = [],
    calls: UpstreamCalls = new ScriptedCalls(),
  ): Promise<Bench> {
    const upstream = await echoServer();
    const { port } = upstream.address() as AddressInfo;
    try {
      const envoy = await Envoy.start({
        listeners: scenarios.map(listener),
        clusters: [{ name: "echo", port }, ...clusters].map(cluster),
      });
      return new Bench(envoy, upstream, scenarios, calls);
    } catch (thrown) {
      upstream.close();
      throw thrown;
    }
  }

  async stop(): Promise<void> {
    await this.#envoy.stop();
    this.#upstream.closeAllConnections();
    this.#upstream.close();
  }

  async envoy(scenario: string, asked: Asked): Promise<Seen> {
    const call = request({
      signal: AbortSignal.timeout(10_000),
      host: "127.0.0.1",
      port: this.#envoy.port(scenario),
      method: asked.method ?? "GET",
      path: asked.path ?? "/",
      headers: { host: asked.authority ?? "reviews.shop", ...asked.headers },
      agent: false,
    });
    call.end(asked.body);
    const [response] = (await once(call, "response")) as [import("node:http").IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString("utf8");
    const echoed = response.headers["x-echoed"] === "1";
    return {
      status: response.statusCode ?? 0,
      body: echoed ? undefined : body,
      details: echoed ? undefined : text(response.headers["x-details"]),
      flags: echoed ? undefined : text(response.headers["x-flags"]),
      answered: seenHeaders(pairsOf(response.rawHeaders).filter(([name]) => name !== "x-echoed")),
      upstream: echoed ? echoedRequest(body) : undefined,
    };
  }

  async ours(scenario: string, asked: Asked): Promise<Seen> {
    const { filters, perRoute } = compiled(this.#scenarios.get(scenario), this.#calls);
    const context = new TestRequest({
      head: head(
        asked.path ?? "/",
        lowerCase({
          ...asked.headers,
          ...(asked.body === undefined ? {} : { "content-length": String(asked.body.length) }),
          "x-forwarded-proto": "http",
        }),
        {
          method: asked.method ?? "GET",
          authority: asked.authority ?? "reviews.shop",
        },
      ),
      downstream: { source: { ip: "127.0.0.1", port: 40_000 }, peerPrincipal: undefined },
      clock: systemClock,
      random: Math.random,
      perFilter: perRoute,
      body: asked.body ?? "",
    });
    const passed: HttpFilter[] = [];
    for (const filter of filters) {
      passed.unshift(filter);
      const verdict = await verdictOf(filter, context, asked.body === undefined);
      if (verdict === "continue") continue;
      const answer: ResponseHead = {
        status: verdict.status,
        fields: new Fields((verdict.fields ?? []).flat()),
      };
      // Envoy's filters see their own answers too, except the one that gave it before it saw the answer of another.
      for (const each of passed) each.onResponse?.(context, answer);
      return {
        status: verdict.status,
        body: verdict.body,
        ...told(verdict.details, [...context.flags, ...verdict.flags]),
        answered: seenHeaders(pairsOf(answer.fields.flat)),
        upstream: undefined,
      };
    }
    const answer: ResponseHead = { status: 200, fields: new Fields() };
    for (const each of passed) each.onResponse?.(context, answer);
    return {
      status: 200,
      body: undefined,
      details: undefined,
      flags: undefined,
      answered: seenHeaders(pairsOf(answer.fields.flat)),
      upstream: {
        path: context.head.path,
        headers: seenHeaders(pairsOf(context.head.fields.flat)),
      },
    };
  }
}

/** Envoy's CORS filter answers past the local replies that tell details. */
function told(details: string, flags: readonly string[]): Pick<Seen, "details" | "flags"> {
  if (details === "cors_response") return { details: undefined, flags: undefined };
  return { details, flags: flags.join(",") || "-" };
}

function text(value: string | string[] | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()]),
  );
}

function compiled(scenario: Scenario | undefined, calls: UpstreamCalls) {
  if (scenario === undefined) throw new Error("no such scenario");
  const environment = filterEnvironment(calls, systemClock);
  const notes = new Notes();
  const filters = scenario.filters.map(({ name, config }) => {
    const message = fromJson(HttpFilterSchema, { name, typedConfig: config }, { registry });
    const result = compileHttpFilter(message, name, notes, environment);
    if (result.kind !== "filter") throw new Error(`${name} is no filter`);
    return result.filter;
  });
  const perRoute = new Map(
    Object.entries(scenario.perRoute ?? {}).map(([name, config]) => [
      name,
      compilePerRoute(
        name,
        fromJson(AnySchema, config as JsonValue, { registry }),
        name,
        notes,
        environment,
      ),
    ]),
  );
  return { filters, perRoute };
}

async function echoServer(): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    incoming.on("end", () => {
      outgoing.setHeader("x-echoed", "1");
      outgoing.end(JSON.stringify({ path: incoming.url, raw: incoming.rawHeaders }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function echoedRequest(body: string): NonNullable<Seen["upstream"]> {
  const { path, raw } = JSON.parse(body) as { path: string; raw: string[] };
  return { path, headers: seenHeaders(pairsOf(raw)) };
}

function cluster({ name, port, http2 }: { name: string; port: number; http2?: boolean }): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    ...(http2
      ? {
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        }
      : {}),
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
  };
}

function listener({ name, filters, perRoute }: Scenario): object {
  return {
    name,
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    filter_chains: [
      {
        filters: [
          {
            name: "hcm",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              stat_prefix: name,
              local_reply_config: {
                mappers: [
                  {
                    filter: {
                      status_code_filter: {
                        comparison: {
                          op: "GE",
                          value: { default_value: 100, runtime_key: "none" },
                        },
                      },
                    },
                    headers_to_add: [
                      added("x-details", "%RESPONSE_CODE_DETAILS%"),
                      added("x-flags", "%RESPONSE_FLAGS%"),
                    ],
                  },
                ],
              },
              route_config: {
                virtual_hosts: [
                  {
                    name: "all",
                    domains: ["*"],
                    routes: [
                      {
                        match: { prefix: "/" },
                        route: { cluster: "echo" },
                        ...(perRoute === undefined ? {} : { typed_per_filter_config: perRoute }),
                      },
                    ],
                  },
                ],
              },
              http_filters: [
                ...filters.map((filter) => ({ name: filter.name, typed_config: filter.config })),
                { name: "router", typed_config: { "@type": typeUrls.router } },
              ],
            },
          },
        ],
      },
    ],
  };
}

function added(key: string, value: string): object {
  return { header: { key, value }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" };
}
