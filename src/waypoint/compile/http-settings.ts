/** HttpConnectionManager → HttpSettings: everything but routes, filters and telemetry (wire/waypoint.md section 3.4). */

import { cidrOf } from "../../shared/net/cidr.ts";
import { parseIp } from "../../shared/net/ip.ts";
import {
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  Http2ProtocolOptionsSchema,
  HttpProtocolOptionsSchema,
  HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores,
} from "../../shared/wire/gen/envoy/config/core/v3/protocol_pb.js";
import {
  HttpConnectionManager_CodecType as Codec,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManager_ForwardClientCertDetails as ForwardCert,
  type HttpConnectionManager,
  HttpConnectionManager_InternalAddressConfigSchema,
  HttpConnectionManager_UpgradeConfigSchema,
  HttpConnectionManagerSchema,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
} from "../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { privateRanges } from "../exchange/internal.ts";
import type { HttpSettings } from "../model/chain.ts";
import { milliseconds, typeOf } from "./cluster-values.ts";
import { checkKeepalive, http2Fields } from "./http2-fields.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const managerFields = {
  used: [
    "codec_type",
    "route_config",
    "http_filters",
    "tracing",
    "access_log",
    "common_http_protocol_options",
    "http_protocol_options",
    "http2_protocol_options",
    "server_name",
    "server_header_transformation",
    "max_request_headers_kb",
    "stream_idle_timeout",
    "request_timeout",
    "request_headers_timeout",
    "drain_timeout",
    "use_remote_address",
    "generate_request_id",
    "preserve_external_request_id",
    "always_set_request_id_in_response",
    "forward_client_cert_details",
    "proxy_100_continue",
    "upgrade_configs",
    "normalize_path",
    "merge_slashes",
    "path_with_escaped_slashes_action",
    "request_id_extension",
    "append_x_forwarded_port",
    "internal_address_config",
    "skip_xff_append",
  ],
  decorative: [
    "stat_prefix",
    "delayed_close_timeout",
    "access_log_options",
    "access_log_flush_interval",
    "flush_access_log_on_new_request",
    // The inner connection is not TLS: there is no certificate whose details could be set.
    "set_current_client_cert_details",
    "represent_ipv4_remote_address_as_ipv4_mapped_ipv6",
    // A bad message ends its stream at least.
    "stream_error_on_invalid_http_message",
    "append_local_overload",
    "http3_protocol_options",
  ],
};

/** Envoy's defaults. */
const STREAM_IDLE_MS = 300_000;
const CONNECTION_IDLE_MS = 3_600_000;
const DRAIN_MS = 5_000;
const MAX_HEAD_KB = 60;
const MAX_HEADERS = 100;
const MAX_STREAMS = 1024;

export function compileHttpSettings(
  manager: HttpConnectionManager,
  suppressEnvoyHeaders: boolean,
  path: Path,
  notes: Notes,
): HttpSettings {
  checkFields(manager, HttpConnectionManagerSchema, path, notes, managerFields);
  return {
    codec: named(codecs, manager.codecType, at(path, "codec_type")),
    serverName: manager.serverName === "" ? "envoy" : manager.serverName,
    serverHeader: named(
      serverHeaders,
      manager.serverHeaderTransformation,
      at(path, "server_header_transformation"),
    ),
    normalizePath: manager.normalizePath ?? false,
    mergeSlashes: manager.mergeSlashes,
    escapedSlashes: named(
      escapedSlashes,
      manager.pathWithEscapedSlashesAction,
      at(path, "path_with_escaped_slashes_action"),
    ),
    generateRequestId: manager.generateRequestId ?? true,
    preserveRequestId: manager.preserveExternalRequestId,
    alwaysSetRequestId: manager.alwaysSetRequestIdInResponse,
    upgrades: upgrades(manager, path, notes),
    ...http1(manager.httpProtocolOptions, at(path, "http_protocol_options"), notes),
    maxHeadBytes: (manager.maxRequestHeadersKb ?? MAX_HEAD_KB) * 1024,
    ...common(manager, at(path, "common_http_protocol_options"), notes),
    ...http2(manager, at(path, "http2_protocol_options"), notes),
    streamIdleTimeoutMs: milliseconds(manager.streamIdleTimeout, STREAM_IDLE_MS),
    requestTimeoutMs: milliseconds(manager.requestTimeout, 0),
    requestHeadersTimeoutMs: milliseconds(manager.requestHeadersTimeout, 0),
    drainTimeoutMs: milliseconds(manager.drainTimeout, DRAIN_MS),
    proxy100Continue: manager.proxy100Continue,
    appendXForwardedPort: manager.appendXForwardedPort,
    forwardClientCert: named(
      forwardCerts,
      manager.forwardClientCertDetails,
      at(path, "forward_client_cert_details"),
    ),
    suppressEnvoyHeaders,
    useRemoteAddress: manager.useRemoteAddress ?? false,
    skipXffAppend: manager.skipXffAppend,
    internalRanges: internalRanges(manager, at(path, "internal_address_config"), notes),
  };
}

const internalFields = {
  used: ["cidr_ranges"],
  // A tunnel does not come from a Unix socket.
  decorative: ["unix_sockets"],
};

function internalRanges(
  { internalAddressConfig: config }: HttpConnectionManager,
  path: Path,
  notes: Notes,
): HttpSettings["internalRanges"] {
  if (config === undefined) return [];
  checkFields(
    config,
    HttpConnectionManager_InternalAddressConfigSchema,
    path,
    notes,
    internalFields,
  );
  if (config.cidrRanges.length === 0) return privateRanges;
  return config.cidrRanges.map(({ addressPrefix, prefixLen }, index) => {
    const ip = parseIp(addressPrefix);
    const range = ip === undefined ? undefined : cidrOf(ip, prefixLen ?? 0);
    if (range === undefined)
      throw new CompileError(item(path, "cidr_ranges", index), "is not a range of addresses");
    return range;
  });
}

function named<Value>(names: Readonly<Record<number, Value>>, value: number, path: Path): Value {
  const name = names[value];
  if (name === undefined) throw new CompileError(path, `${value} is not supported`);
  return name;
}

const codecs = { [Codec.AUTO]: "auto", [Codec.HTTP1]: "http1", [Codec.HTTP2]: "http2" } as const;

const serverHeaders = {
  [ServerHeader.OVERWRITE]: "overwrite",
  [ServerHeader.APPEND_IF_ABSENT]: "append-if-absent",
  [ServerHeader.PASS_THROUGH]: "pass-through",
} as const;

const escapedSlashes = {
  [EscapedSlashes.IMPLEMENTATION_SPECIFIC_DEFAULT]: "keep",
  [EscapedSlashes.KEEP_UNCHANGED]: "keep",
  [EscapedSlashes.REJECT_REQUEST]: "reject",
  [EscapedSlashes.UNESCAPE_AND_REDIRECT]: "unescape-redirect",
  [EscapedSlashes.UNESCAPE_AND_FORWARD]: "unescape-forward",
} as const;

const underscores = {
  [Underscores.ALLOW]: "allow",
  [Underscores.REJECT_REQUEST]: "reject",
  [Underscores.DROP_HEADER]: "drop",
} as const;

const forwardCerts = {
  [ForwardCert.SANITIZE]: "sanitize",
  [ForwardCert.FORWARD_ONLY]: "forward-only",
  [ForwardCert.APPEND_FORWARD]: "append-forward",
  [ForwardCert.SANITIZE_SET]: "sanitize-set",
  [ForwardCert.ALWAYS_FORWARD_ONLY]: "always-forward-only",
} as const;

const upgradeFields = { used: ["upgrade_type", "enabled"] };

function upgrades(
  { upgradeConfigs }: HttpConnectionManager,
  path: Path,
  notes: Notes,
): ReadonlySet<string> {
  const types = new Set<string>();
  for (const [index, config] of upgradeConfigs.entries()) {
    const inside = item(path, "upgrade_configs", index);
    checkFields(config, HttpConnectionManager_UpgradeConfigSchema, inside, notes, upgradeFields);
    if (config.enabled ?? true) types.add(config.upgradeType.toLowerCase());
  }
  return types;
}

const http1Fields = {
  used: ["accept_http_10", "header_key_format"],
  decorative: [
    "allow_absolute_url",
    "default_host_for_http_10",
    "enable_trailers",
    "override_stream_error_on_invalid_http_message",
    "send_fully_qualified_url",
    "use_balsa_parser",
  ],
};

const PRESERVE_CASE =
  "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig";

function http1(
  options: Http1ProtocolOptions | undefined,
  path: Path,
  notes: Notes,
): Pick<HttpSettings, "acceptHttp10" | "preserveHeaderCase"> {
  if (options === undefined) return { acceptHttp10: false, preserveHeaderCase: false };
  checkFields(options, Http1ProtocolOptionsSchema, path, notes, http1Fields);
  const casePath = at(path, "header_key_format");
  const preserveHeaderCase = preservesCase(options, casePath);
  if (preserveHeaderCase) notes.decorates(casePath, "names of fields are lower-case here");
  return {
    acceptHttp10: options.acceptHttp10,
    preserveHeaderCase,
  };
}

function preservesCase({ headerKeyFormat }: Http1ProtocolOptions, path: Path): boolean {
  const format = headerKeyFormat?.headerFormat;
  if (format?.case === undefined) return false;
  const config = format.case === "statefulFormatter" ? format.value.typedConfig : undefined;
  if (config === undefined || typeOf(config) !== PRESERVE_CASE)
    throw new CompileError(path, "only preserve_case is supported");
  return true;
}

const serverHttp2Fields = {
  ...http2Fields,
  decorative: [...http2Fields.decorative, "stream_error_on_invalid_http_messaging"],
};

function http2(
  { http2ProtocolOptions: options }: HttpConnectionManager,
  path: Path,
  notes: Notes,
): Pick<HttpSettings, "maxConcurrentStreams" | "http2"> {
  if (options !== undefined)
    checkFields(options, Http2ProtocolOptionsSchema, path, notes, serverHttp2Fields);
  const keepalive = options?.connectionKeepalive;
  checkKeepalive(keepalive, path, notes);
  return {
    maxConcurrentStreams: options?.maxConcurrentStreams ?? MAX_STREAMS,
    http2: {
      streamWindowBytes: windowBytes(options?.initialStreamWindowSize, path, "stream"),
      connectionWindowBytes: windowBytes(options?.initialConnectionWindowSize, path, "connection"),
      allowConnect: options?.allowConnect ?? false,
      pingIntervalMs: milliseconds(keepalive?.interval, 0),
      pingTimeoutMs: milliseconds(keepalive?.timeout, 0),
    },
  };
}

/** Envoy's limits: clients may send 65,535 octets before they have read our SETTINGS. */
function windowBytes(
  bytes: number | undefined,
  path: Path,
  of: "stream" | "connection",
): number | undefined {
  if (bytes !== undefined && (bytes < 65_535 || bytes > 2 ** 31 - 1))
    throw new CompileError(
      at(path, `initial_${of}_window_size`),
      `must be between 65535 and 2147483647, not ${bytes}`,
    );
  return bytes;
}

const commonFields = {
  used: [
    "idle_timeout",
    "max_connection_duration",
    "max_stream_duration",
    "max_headers_count",
    "headers_with_underscores_action",
  ],
};

function common(
  { commonHttpProtocolOptions: options }: HttpConnectionManager,
  path: Path,
  notes: Notes,
): Pick<
  HttpSettings,
  | "connectionIdleTimeoutMs"
  | "maxConnectionDurationMs"
  | "maxStreamDurationMs"
  | "maxHeaders"
  | "underscoresInNames"
> {
  if (options !== undefined)
    checkFields(options, HttpProtocolOptionsSchema, path, notes, commonFields);
  return {
    connectionIdleTimeoutMs: milliseconds(options?.idleTimeout, CONNECTION_IDLE_MS),
    maxConnectionDurationMs: milliseconds(options?.maxConnectionDuration, 0),
    maxStreamDurationMs: milliseconds(options?.maxStreamDuration, 0),
    maxHeaders: options?.maxHeadersCount ?? MAX_HEADERS,
    underscoresInNames: named(
      underscores,
      options?.headersWithUnderscoresAction ?? Underscores.ALLOW,
      at(path, "headers_with_underscores_action"),
    ),
  };
}
