/** HttpProtocolOptions: how requests go over a cluster's connections. */
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type HttpProtocolOptions as CommonOptions,
  HttpProtocolOptionsSchema as CommonSchema,
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  type Http2ProtocolOptions,
  Http2ProtocolOptionsSchema,
  UpstreamHttpProtocolOptionsSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/protocol_pb.js";
import {
  type HttpProtocolOptions,
  HttpProtocolOptions_ExplicitHttpConfigSchema,
  HttpProtocolOptions_UseDownstreamHttpConfigSchema,
  HttpProtocolOptionsSchema,
} from "../../shared/wire/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { UpstreamHttp } from "../model/cluster.ts";
import { milliseconds, typeOf, unpackAs } from "./cluster-values.ts";
import { checkKeepalive, http2Fields } from "./http2-fields.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

/** Envoy's default, and its limit for streams of a connection upstream. */
const defaultIdleTimeoutMs = 3_600_000;
const defaultMaxStreams = 2 ** 30;

const defaults: UpstreamHttp = {
  protocol: "http1",
  idleTimeoutMs: defaultIdleTimeoutMs,
  maxConnectionDurationMs: 0,
  maxRequestsPerConnection: 0,
  maxStreamDurationMs: 0,
  http1: { preserveHeaderCase: false, enableTrailers: false },
  http2: {
    maxConcurrentStreams: defaultMaxStreams,
    streamWindowBytes: undefined,
    connectionWindowBytes: undefined,
    keepaliveIntervalMs: 0,
    keepaliveTimeoutMs: 0,
  },
  autoSni: false,
  autoSanValidation: false,
};

export function compileUpstreamHttp(
  extensions: { readonly [name: string]: Any },
  path: Path,
  notes: Notes,
): UpstreamHttp {
  let compiled = defaults;
  for (const [name, any] of Object.entries(extensions)) {
    const extensionPath = item(path, "typed_extension_protocol_options", JSON.stringify(name));
    if (typeOf(any) !== HttpProtocolOptionsSchema.typeName)
      throw new CompileError(extensionPath, `${typeOf(any)} is not supported`);
    const options = unpackAs(any, HttpProtocolOptionsSchema, extensionPath);
    checkFields(options, HttpProtocolOptionsSchema, extensionPath, notes, {
      used: [
        "explicit_http_config",
        "use_downstream_protocol_config",
        "common_http_protocol_options",
        "upstream_http_protocol_options",
      ],
    });
    compiled = {
      ...defaults,
      ...compileCommon(options.commonHttpProtocolOptions, extensionPath, notes),
      ...compileProtocol(options, extensionPath, notes),
      ...compileSni(options, at(extensionPath, "upstream_http_protocol_options"), notes),
    };
  }
  return compiled;
}

function compileCommon(
  message: CommonOptions | undefined,
  parent: Path,
  notes: Notes,
): Partial<UpstreamHttp> {
  if (message === undefined) return {};
  const path = at(parent, "common_http_protocol_options");
  checkFields(message, CommonSchema, path, notes, {
    used: [
      "idle_timeout",
      "max_connection_duration",
      "max_requests_per_connection",
      "max_stream_duration",
    ],
    decorative: ["max_headers_count", "headers_with_underscores_action"],
  });
  return {
    idleTimeoutMs: milliseconds(message.idleTimeout, defaultIdleTimeoutMs),
    maxConnectionDurationMs: milliseconds(message.maxConnectionDuration, 0),
    maxRequestsPerConnection: message.maxRequestsPerConnection ?? 0,
    maxStreamDurationMs: milliseconds(message.maxStreamDuration, 0),
  };
}

function compileProtocol(
  options: HttpProtocolOptions,
  parent: Path,
  notes: Notes,
): Partial<UpstreamHttp> {
  const { upstreamProtocolOptions: choice } = options;
  switch (choice.case) {
    case "explicitHttpConfig": {
      const path = at(parent, "explicit_http_config");
      checkFields(choice.value, HttpProtocolOptions_ExplicitHttpConfigSchema, path, notes, {
        used: ["http_protocol_options", "http2_protocol_options"],
      });
      const { protocolConfig: config } = choice.value;
      if (config.case === "http2ProtocolOptions")
        return {
          protocol: "http2",
          http2: compileHttp2(config.value, at(path, "http2_protocol_options"), notes),
        };
      return {
        protocol: "http1",
        http1: compileHttp1(
          config.case === "httpProtocolOptions" ? config.value : undefined,
          at(path, "http_protocol_options"),
          notes,
        ),
      };
    }
    case "useDownstreamProtocolConfig": {
      const path = at(parent, "use_downstream_protocol_config");
      checkFields(choice.value, HttpProtocolOptions_UseDownstreamHttpConfigSchema, path, notes, {
        used: ["http_protocol_options", "http2_protocol_options"],
      });
      return {
        protocol: "downstream",
        http1: compileHttp1(
          choice.value.httpProtocolOptions,
          at(path, "http_protocol_options"),
          notes,
        ),
        http2: compileHttp2(
          choice.value.http2ProtocolOptions,
          at(path, "http2_protocol_options"),
          notes,
        ),
      };
    }
    case undefined:
      return {};
    default:
      throw new CompileError(at(parent, "auto_config"), "is not supported");
  }
}

function compileHttp1(
  message: Http1ProtocolOptions | undefined,
  path: Path,
  notes: Notes,
): UpstreamHttp["http1"] {
  if (message === undefined) return defaults.http1;
  checkFields(message, Http1ProtocolOptionsSchema, path, notes, {
    used: ["header_key_format", "enable_trailers"],
    decorative: [
      "allow_absolute_url",
      "accept_http_10",
      "use_balsa_parser",
      "override_stream_error_on_invalid_http_message",
    ],
  });
  const format = message.headerKeyFormat?.headerFormat;
  if (format?.case === "properCaseWords")
    throw new CompileError(
      at(at(path, "header_key_format"), "proper_case_words"),
      "is not supported",
    );
  if (format?.case === "statefulFormatter")
    notes.decorates(at(path, "header_key_format"), "names of fields are lower-case here");
  return {
    preserveHeaderCase: format?.case === "statefulFormatter",
    enableTrailers: message.enableTrailers,
  };
}

function compileHttp2(
  message: Http2ProtocolOptions | undefined,
  path: Path,
  notes: Notes,
): UpstreamHttp["http2"] {
  if (message === undefined) return defaults.http2;
  checkFields(message, Http2ProtocolOptionsSchema, path, notes, http2Fields);
  const keepalive = message.connectionKeepalive;
  checkKeepalive(keepalive, path, notes);
  return {
    maxConcurrentStreams: message.maxConcurrentStreams ?? defaultMaxStreams,
    streamWindowBytes: message.initialStreamWindowSize,
    connectionWindowBytes: message.initialConnectionWindowSize,
    keepaliveIntervalMs: milliseconds(keepalive?.interval, 0),
    keepaliveTimeoutMs: milliseconds(keepalive?.timeout, 0),
  };
}

function compileSni(
  { upstreamHttpProtocolOptions: message }: HttpProtocolOptions,
  path: Path,
  notes: Notes,
): Partial<UpstreamHttp> {
  if (message === undefined) return {};
  checkFields(message, UpstreamHttpProtocolOptionsSchema, path, notes, {
    used: ["auto_sni", "auto_san_validation"],
  });
  return { autoSni: message.autoSni, autoSanValidation: message.autoSanValidation };
}
