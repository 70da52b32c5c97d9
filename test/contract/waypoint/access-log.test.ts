/** Our lines against Envoy's own, operator by operator: Envoy logs the facts of a request as JSON, we print the same request. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Fields, type ResponseFlag } from "../../../src/waypoint/http/message.ts";
import { inertEnvironment } from "../../../src/waypoint/telemetry/environment.ts";
import { printLine } from "../../../src/waypoint/telemetry/log/access-log.ts";
import { printFormat } from "../../../src/waypoint/telemetry/log/format.ts";
import type { JsonFormat } from "../../../src/waypoint/telemetry/log/json-format.ts";
import { parseFormat } from "../../../src/waypoint/telemetry/log/parse.ts";
import type { StreamRecord } from "../../../src/waypoint/telemetry/record.ts";
import { Envoy, withoutEnvoy } from "../../support/envoy.ts";
import { downstream, requestHead, streamRecord, upstream } from "../../support/stream-record.ts";

const REFERENCE =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%';

/** Each is one line of the log. */
const formats: readonly string[] = [
  REFERENCE,
  "100%% %PROTOCOL%%%",
  "%REQ(:METHOD):2% %REQ(ABSENT?USER-AGENT):4% %REQ(X-UTF)% %REQ(:SCHEME)% %REQ(HOST)%",
  "%REQ(X-TWICE)% %RESP(X-TWICE)% %RESP(:STATUS)% %TRAILER(X)%",
  "%START_TIME(%Y/%m/%d %H:%M:%S %z %Z %s %y %C)%",
  "%START_TIME(%a %A %b %B %h %e %j %p %I %u %w %U %W %D %F %T %R)%",
  "%START_TIME(%f %1f %3f %6f %s.%3f)%",
  "%START_TIME(%E3S %E6S %E*S %Ez %E4Y)%",
  "%RESPONSE_FLAGS_LONG% %UPSTREAM_CLUSTER% %UPSTREAM_REQUEST_ATTEMPT_COUNT%",
  "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%",
  "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%",
  "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_LOCAL_PORT% %UPSTREAM_REMOTE_PORT%",
  "%DOWNSTREAM_TLS_VERSION% %UPSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_URI_SAN%",
  "%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%",
  "%HOSTNAME% %ENVIRONMENT(NO_SUCH_VARIABLE)%",
  "%PATH(NQ)% %PATH(WQ)% %PATH(WQ:ORIG)% %PATH(NQ:ORIG_OR_PATH):4% %QUERY_PARAM(a)% %QUERY_PARAM(zz)%",
  "%DYNAMIC_METADATA(nothing:here)% %FILTER_STATE(nothing:PLAIN)% %VIRTUAL_CLUSTER_NAME%",
  "%METADATA(ROUTE:nothing)% %METADATA(CLUSTER:nothing:x)% %CLUSTER_METADATA(nothing)%",
  "%STREAM_ID% %ACCESS_LOG_TYPE% %TRACE_ID% %CUSTOM_FLAGS%",
  "%REQ_WITHOUT_QUERY(:PATH)% %RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%",
  "%CEL(request.method)% %CEL(response.code)% %CEL(request.url_path)%",
  "%CEL(request.headers['absent'])% %CEL(response.code >= 400 ? 'bad' : 'good')%",
  "%CEL(request.query)% %CEL(size(request.host))% %CEL(1.5)% %CEL(request.protocol)%",
  "%CEL('a' in ['a', 'b'] && !has(request.headers.absent))% %CEL(response.flags)%",
  "%CEL(source.port > 0)% %CEL(connection.mtls)% %CEL(response.code_details)%",
  "%CEL(request.path.startsWith('/') && request.path.matches('^/.*$'))%",
  "%CEL(response.grpc_status)% %CEL(request.size)% %CEL(response.size)%",
  "%CEL(xds.cluster_name)% %CEL(upstream.request_attempt_count)% %CEL(duration('1h2m3.5s'))%",
];

const jsonFormat = {
  zeta: "%RESPONSE_CODE%",
  alpha: "%REQ(X-ODD)%",
  absent: "%REQ(ABSENT)%",
  mixed: "%RESPONSE_CODE% and %REQ(ABSENT)%",
  nested: { inner: "%PROTOCOL%", list: ["%BYTES_SENT%", "%REQ(ABSENT)%", "text"] },
  port: "%DOWNSTREAM_LOCAL_PORT%",
  noport: "%UPSTREAM_REMOTE_PORT%",
  metadata: "%DYNAMIC_METADATA(nothing)%",
  utf: "%REQ(X-UTF)%",
};

const FACTS = {
  start: "%START_TIME(%s.%6f)%",
  duration: "%DURATION%",
  received: "%BYTES_RECEIVED%",
  sent: "%BYTES_SENT%",
  flags: "%RESPONSE_FLAGS%",
  details: "%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%",
  failure: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
  host: "%UPSTREAM_HOST%",
  cluster: "%UPSTREAM_CLUSTER_RAW%",
  local: "%UPSTREAM_LOCAL_ADDRESS%",
  target: "%DOWNSTREAM_LOCAL_ADDRESS%",
  client: "%DOWNSTREAM_REMOTE_ADDRESS%",
  route: "%ROUTE_NAME%",
  attempts: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
  id: "%REQ(X-REQUEST-ID)%",
  proto: "%REQ(X-FORWARDED-PROTO)%",
  original: "%REQ(X-ENVOY-ORIGINAL-PATH)%",
  path: "%REQ(:PATH)%",
  authority: "%REQ(:AUTHORITY)%",
  status: "%RESPONSE_CODE%",
  time: "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
  grpc: "%RESP(GRPC-STATUS)%",
  twice: "%RESP(X-TWICE)%",
};

type Facts = Readonly<Record<keyof typeof FACTS, string | number | null>>;

function address(text: string | number | null): { ip: string; port: number } {
  const [ip = "", port = "0"] = String(text).split(":");
  return { ip, port: Number(port) };
}

function orNothing(value: string | number | null): string | undefined {
  return value === null ? undefined : String(value);
}

const headers: readonly (readonly [string, string])[] = [
  ["user-agent", "test/1"],
  ["x-utf", Buffer.from("caf\u00e9 \u2615").toString("latin1")],
  ["x-odd", 'a "quoted" \\ back\t tab'],
];

function recordOf(facts: Facts, extra: readonly string[]): StreamRecord {
  const flat = [...headers.flat(), ...extra];
  if (facts.id !== null) flat.push("x-request-id", String(facts.id));
  if (facts.original !== null) flat.push("x-envoy-original-path", String(facts.original));
  const response = new Fields();
  if (facts.time !== null) response.append("x-envoy-upstream-service-time", String(facts.time));
  if (facts.twice !== null) response.append("x-twice", String(facts.twice));
  const flags = facts.flags === "-" ? [] : (String(facts.flags).split(",") as ResponseFlag[]);
  return streamRecord({
    downstream: downstream({
      source: address(facts.client),
      destination: address(facts.target),
      peerPrincipal: undefined,
    }),
    startWallMs: Number(facts.start) * 1000,
    durationMs: Number(facts.duration),
    bytesReceived: Number(facts.received),
    bytesSent: Number(facts.sent),
    flags,
    details: orNothing(facts.details),
    routeName: orNothing(facts.route),
    upstream:
      facts.cluster === null
        ? undefined
        : upstream({
            cluster: String(facts.cluster),
            service: undefined,
            address: orNothing(facts.host),
            hostText: orNothing(facts.host),
            localAddress: orNothing(facts.local),
            failureReason: orNothing(facts.failure)?.replaceAll("_", " "),
            attempts: Number(facts.attempts),
          }),
    http: {
      protocol: "HTTP/1.1",
      request: requestHead(
        { path: String(facts.path), authority: String(facts.authority), method: "GET" },
        flat,
      ),
      originalPath: String(facts.original ?? facts.path),
      status: Number(facts.status),
      responseFields: response,
      trailers: undefined,
      grpcStatus: orNothing(facts.grpc),
      requestMessages: 0,
      responseMessages: 0,
    },
  });
}

const TYPE = "type.googleapis.com/envoy";

/** As the reference names them on demand. */
const formatters = [
  ["req_without_query", "ReqWithoutQuery"],
  ["metadata", "Metadata"],
  ["cel", "Cel"],
].map(([name, message]) => ({
  name: `envoy.formatter.${name}`,
  typed_config: { "@type": `${TYPE}.extensions.formatter.${name}.v3.${message}` },
}));

function logger(path: string, log_format: object): object {
  return {
    name: "file",
    typed_config: {
      "@type": `${TYPE}.extensions.access_loggers.file.v3.FileAccessLog`,
      path,
      log_format,
    },
  };
}

function toFormat(value: unknown): JsonFormat {
  if (typeof value === "string") return { kind: "value", format: parseFormat(value, environment) };
  if (Array.isArray(value)) return { kind: "list", items: value.map(toFormat) };
  const fields = Object.entries(Object(value)).sort(([a], [b]) => (a < b ? -1 : 1));
  return { kind: "object", fields: fields.map(([key, one]) => [key, toFormat(one)]) };
}

const environment = inertEnvironment({ hostname: hostname() });

describe("access log lines", { skip: withoutEnvoy }, () => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-access-"));
  const backend = createServer((incoming, response) => {
    if (incoming.headers["content-type"] === "application/grpc")
      response.setHeader("grpc-status", "5");
    response.setHeader("x-twice", "one");
    response.end("hello");
  });
  let envoy: Envoy;

  before(async () => {
    await new Promise<void>((done) => backend.listen(0, "127.0.0.1", done));
    const { port } = backend.address() as AddressInfo;
    const text = `${formats.join("\n")}\n`;
    const cluster = (name: string, toPort: number): object => ({
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
                  address: { socket_address: { address: "127.0.0.1", port_value: toPort } },
                },
              },
            ],
          },
        ],
      },
    });
    envoy = await Envoy.start({
      clusters: [cluster("inbound-vip|80|http|a.b", port), cluster("broken", 1)],
      listeners: [
        {
          name: "in",
          address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
          filter_chains: [
            {
              filters: [
                {
                  name: "hcm",
                  typed_config: {
                    "@type": `${TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
                    stat_prefix: "in",
                    http_filters: [
                      {
                        name: "envoy.filters.http.router",
                        typed_config: {
                          "@type": `${TYPE}.extensions.filters.http.router.v3.Router`,
                        },
                      },
                    ],
                    access_log: [
                      logger(join(dir, "facts"), { json_format: FACTS }),
                      logger(join(dir, "text"), {
                        text_format_source: { inline_string: text },
                        formatters,
                      }),
                      logger(join(dir, "omit"), {
                        text_format_source: { inline_string: text },
                        omit_empty_values: true,
                        formatters,
                      }),
                      logger(join(dir, "json"), { json_format: jsonFormat }),
                      logger(join(dir, "json-omit"), {
                        json_format: jsonFormat,
                        omit_empty_values: true,
                      }),
                    ],
                    route_config: {
                      name: "r",
                      validate_clusters: false,
                      virtual_hosts: [
                        {
                          name: "all",
                          domains: ["*"],
                          routes: [
                            {
                              name: "old",
                              match: { prefix: "/old" },
                              route: { cluster: "inbound-vip|80|http|a.b", prefix_rewrite: "/new" },
                            },
                            { match: { prefix: "/broken" }, route: { cluster: "broken" } },
                            { match: { prefix: "/absent" }, route: { cluster: "nobody" } },
                            { match: { prefix: "/direct" }, direct_response: { status: 418 } },
                            {
                              match: { prefix: "/ok" },
                              route: { cluster: "inbound-vip|80|http|a.b" },
                            },
                          ],
                        },
                      ],
                    },
                  },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  after(async () => {
    await envoy?.stop();
    await new Promise((done) => backend.close(done));
    rmSync(dir, { recursive: true });
  });

  async function linesOf(name: string, count: number): Promise<string[]> {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const lines = readFileSync(join(dir, name), "utf8").split("\n");
      if (lines.length > count) return lines.slice(-count - 1, -1);
      if (Date.now() > deadline) throw new Error(`${name} has ${lines.length} lines`);
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  let requests = 0;
  async function get(path: string, extra: Readonly<Record<string, string>>): Promise<void> {
    requests++;
    const sent = request({
      host: "127.0.0.1",
      port: envoy.port("in"),
      path,
      agent: false,
      headers: { ...Object.fromEntries(headers), ...extra },
    });
    await new Promise<void>((done, fail) => {
      sent.on("response", (response) => response.resume().on("end", done));
      sent.on("error", fail);
      sent.end();
    });
  }

  const cases: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ["/ok?a=1&b", {}],
    ["/ok", { "content-type": "application/grpc", "x-twice": "in" }],
    ["/old/x?a=b%20c", {}],
    ["/broken", {}],
    ["/absent", {}],
    ["/direct", {}],
    ["/none", {}],
  ];
  for (const [path, extra] of cases)
    it(`of ${path}${extra["content-type"] === undefined ? "" : " (gRPC)"}`, async () => {
      await get(path, extra);
      const [factsLine = ""] = (await linesOf("facts", requests)).slice(-1);
      const facts = JSON.parse(factsLine) as Facts;
      const record = recordOf(facts, Object.entries(extra).flat());
      for (const [name, absent] of [
        ["text", "-"],
        ["omit", ""],
      ] as const) {
        const lines = (await linesOf(name, requests * formats.length)).slice(-formats.length);
        const ours = formats.map((format) =>
          printFormat(parseFormat(format, environment), record, absent),
        );
        for (const [index, format] of formats.entries())
          assert.equal(ours[index], lines[index], `${name}: ${format}`);
      }
      for (const [name, omitEmpty] of [
        ["json", false],
        ["json-omit", true],
      ] as const) {
        const [line] = (await linesOf(name, requests)).slice(-1);
        const format = toFormat(jsonFormat);
        assert.equal(printLine({ kind: "json", format, omitEmpty }, record), `${line}\n`, name);
      }
    });
});
