/**
 * `connect_terminate`: the fixed end of every tunnel (wire/waypoint.md section 3.2). Its shape is always the same, so it is not
 * interpreted: what varies is read, what could change who gets in is refused when it is not understood.
 */
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Address } from "../../shared/wire/gen/envoy/config/core/v3/address_pb.js";
import {
  type Listener,
  ListenerSchema,
} from "../../shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  type CertificateValidationContext,
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanType,
} from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
} from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../compile/notes.ts";
import type { AccessLog } from "../telemetry/config.ts";
import type { TerminatePlan } from "../terminate/plan.ts";

export type CompileAccessLogs = (
  messages: Listener["accessLog"],
  path: Path,
  notes: Notes,
) => readonly AccessLog[];

export function compileTerminate(
  bytes: Uint8Array,
  notes: Notes,
  accessLogs: CompileAccessLogs,
): TerminatePlan {
  const listener = fromBinary(ListenerSchema, bytes);
  const path = listener.name;
  checkFields(listener, ListenerSchema, path, notes, {
    used: ["name", "address", "additional_addresses", "filter_chains", "access_log"],
    decorative: [
      "connection_balance_config",
      "traffic_direction",
      "stat_prefix",
      "use_original_dst",
      "listener_filters",
      "enable_reuse_port",
      "reuse_port",
      "tcp_backlog_size",
      "per_connection_buffer_limit_bytes",
      "ignore_global_conn_limit",
    ],
  });
  const [chain, ...more] = listener.filterChains;
  if (chain === undefined || more.length > 0)
    throw new CompileError(at(path, "filter_chains"), "expected exactly one");
  const chainPath = item(path, "filter_chains", 0);
  const trustDomains = trustDomainsOf(
    chain.transportSocket?.configType.value,
    at(chainPath, "transport_socket.typed_config"),
    notes,
  );
  const [filter, ...others] = chain.filters;
  if (filter?.configType.case !== "typedConfig" || others.length > 0)
    throw new CompileError(at(chainPath, "filters"), "expected an HTTP connection manager alone");
  const managerPath = at(item(chainPath, "filters", 0), "typed_config");
  const manager = managerOf(filter.configType.value, managerPath, notes);
  return {
    addresses: addressesOf(listener, path),
    trustDomains,
    ...http2Of(manager),
    accessLogs: accessLogs(manager.accessLog, at(managerPath, "access_log"), notes),
    listenerAccessLogs: accessLogs(listener.accessLog, at(path, "access_log"), notes),
  };
}

function addressesOf(listener: Listener, path: Path): TerminatePlan["addresses"] {
  const all: (readonly [Address | undefined, Path])[] = [
    [listener.address, at(path, "address")],
    ...listener.additionalAddresses.map(
      ({ address }, index) =>
        [address, at(item(path, "additional_addresses", index), "address")] as const,
    ),
  ];
  return all.map(([address, where]) => {
    if (address?.address.case !== "socketAddress")
      throw new CompileError(where, "expected a socket address");
    const { address: host, portSpecifier } = address.address.value;
    if (portSpecifier.case !== "portValue")
      throw new CompileError(where, "expected a port as a number");
    return { host, port: portSpecifier.value };
  });
}

function messageOf<Schema extends DescMessage>(
  any: Any | undefined,
  schema: Schema,
  path: Path,
): MessageShape<Schema> {
  const typeName = any?.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
  if (any === undefined || typeName !== schema.typeName)
    throw new CompileError(path, `expected ${schema.typeName}, not ${typeName ?? "nothing"}`);
  return fromBinary(schema, any.value);
}

/** Who may come in. Anything beyond the names of the peer is ours already: certificates from the CA, TLS 1.3, ALPN h2. */
function trustDomainsOf(
  any: Any | undefined,
  path: Path,
  notes: Notes,
): TerminatePlan["trustDomains"] {
  const downstream = messageOf(any, DownstreamTlsContextSchema, path);
  if (downstream.requireClientCertificate !== true)
    throw new CompileError(at(path, "require_client_certificate"), "must be true on this port");
  checkFields(downstream, DownstreamTlsContextSchema, path, notes, {
    used: ["common_tls_context", "require_client_certificate"],
    decorative: ["disable_stateless_session_resumption", "disable_stateful_session_resumption"],
  });
  const common = downstream.commonTlsContext;
  const commonPath = at(path, "common_tls_context");
  if (common === undefined) throw new CompileError(commonPath, "is missing");
  checkFields(common, CommonTlsContextSchema, commonPath, notes, {
    used: [
      "tls_certificate_sds_secret_configs",
      "combined_validation_context",
      "validation_context_sds_secret_config",
    ],
    // Ours are as strict or stricter: TLS 1.3 unless TLS12_ENABLED, h2 only.
    decorative: ["tls_params", "alpn_protocols"],
  });
  for (const [index, { name }] of common.tlsCertificateSdsSecretConfigs.entries())
    if (name !== "default")
      throw new CompileError(
        at(item(commonPath, "tls_certificate_sds_secret_configs", index), "name"),
        `expected "default", the certificate of this pod, not ${JSON.stringify(name)}`,
      );
  const validation = common.validationContextType;
  if (validation.case === "validationContextSdsSecretConfig") return "every";
  if (validation.case !== "combinedValidationContext")
    throw new CompileError(at(commonPath, "combined_validation_context"), "is missing");
  const { defaultValidationContext: context } = validation.value;
  const contextPath = at(commonPath, "combined_validation_context.default_validation_context");
  return context === undefined ? "every" : namesOf(context, contextPath);
}

function namesOf(context: CertificateValidationContext, path: Path): TerminatePlan["trustDomains"] {
  const matchers = context.matchTypedSubjectAltNames;
  if (matchers.length === 0) return "every";
  return matchers.map((matcher, index) =>
    trustDomainOf(matcher, item(path, "match_typed_subject_alt_names", index)),
  );
}

function trustDomainOf({ sanType, matcher }: SubjectAltNameMatcher, path: Path): string {
  const pattern = matcher?.matchPattern;
  const match = pattern?.case === "prefix" ? /^spiffe:\/\/([^/]+)\/$/.exec(pattern.value) : null;
  if (sanType !== SubjectAltNameMatcher_SanType.URI || match === null)
    throw new CompileError(path, "expected a URI with the prefix spiffe://<trust domain>/");
  return match[1] ?? "";
}

/** Filters that this role carries out by itself; others would decide who gets in, and are refused. */
const builtIn: ReadonlySet<string> = new Set([
  "waypoint_downstream_peer_metadata",
  "connect_authority",
  "envoy.filters.http.router",
]);

function managerOf(any: Any, path: Path, notes: Notes): HttpConnectionManager {
  const manager = messageOf(any, HttpConnectionManagerSchema, path);
  checkFields(manager, HttpConnectionManagerSchema, path, notes, {
    used: ["http_filters", "http2_protocol_options", "access_log", "route_config"],
    decorative: [
      "stat_prefix",
      "server_name",
      "server_header_transformation",
      "use_remote_address",
      "forward_client_cert_details",
      "set_current_client_cert_details",
      "upgrade_configs",
      "stream_idle_timeout",
      "codec_type",
      "common_http_protocol_options",
    ],
  });
  for (const [index, { name }] of manager.httpFilters.entries())
    if (!builtIn.has(name))
      throw new CompileError(item(path, "http_filters", index), `${name} is not supported here`);
  return manager;
}

function http2Of(
  manager: HttpConnectionManager,
): Pick<TerminatePlan, "maxStreams" | "pingIntervalMs" | "pingTimeoutMs"> {
  const options = manager.http2ProtocolOptions;
  const keepalive = options?.connectionKeepalive;
  return {
    maxStreams: options?.maxConcurrentStreams ?? 100,
    pingIntervalMs: durationOf(keepalive?.interval, 10_000),
    pingTimeoutMs: durationOf(keepalive?.timeout, 20_000),
  };
}

function durationOf(
  duration: { readonly seconds: bigint; readonly nanos: number } | undefined,
  fallbackMs: number,
): number {
  return duration === undefined
    ? fallbackMs
    : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
