/** Filters that other parts of the waypoint carry out: recognized here, so that everything else can be refused. */

import {
  type FilterStateValue,
  FilterStateValueSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js";
import { FilterConfigSchema as ForwardSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js";
import { FilterConfigSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js";
import { RouterSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { ConfigSchema as HttpStateSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { ConfigSchema as NetworkStateSchema } from "../../../shared/wire/gen/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";
import { readConfig, type TypedConfig } from "./typed-config.ts";

export type FilterRole =
  /** Last of an HTTP chain: the exchange. Its config says suppress_envoy_headers. */
  | "router"
  /** The end of a TCP chain: compiled by the listener. */
  | "tcp-proxy"
  | "http-connection-manager"
  /** stats.PluginConfig: compiled by telemetry. */
  | "stats"
  | "peer-metadata"
  | "grpc-stats"
  /** Not carried out: requests of grpc-web go on as they are. */
  | "grpc-web"
  /** Looks names up before the cluster is asked; here the cluster of the same kind does it by itself, others never ask. */
  | "dynamic-forward-proxy"
  /** Passes identity and addresses between Envoy's internal listeners; here one context does. */
  | "filter-state";

type RoleReader = (config: TypedConfig, path: Path, notes: Notes) => FilterRole;

const roles: ReadonlyMap<string, RoleReader> = new Map<string, RoleReader>([
  [
    "envoy.extensions.filters.http.router.v3.Router",
    (config, path, notes) => {
      const router = readConfig(config, RouterSchema, path);
      checkFields(router, RouterSchema, path, notes, {
        used: ["suppress_envoy_headers"],
        decorative: [
          "dynamic_stats",
          "start_child_span",
          "upstream_log",
          "upstream_log_options",
          "suppress_grpc_request_failure_code_stats",
        ],
      });
      return "router";
    },
  ],
  ["envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", () => "tcp-proxy"],
  [
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    () => "http-connection-manager",
  ],
  ["stats.PluginConfig", () => "stats"],
  ["io.istio.http.peer_metadata.Config", () => "peer-metadata"],
  ["envoy.tcp.metadataexchange.config.MetadataExchange", () => "peer-metadata"],
  ["envoy.extensions.network_filters.peer_metadata.Config", () => "peer-metadata"],
  [
    "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
    (config, path, notes) => {
      checkFields(readConfig(config, FilterConfigSchema, path), FilterConfigSchema, path, notes, {
        used: ["emit_filter_state"],
        decorative: [
          "individual_method_stats_allowlist",
          "stats_for_all_methods",
          "enable_upstream_stats",
          "replace_dots_in_grpc_service_name",
        ],
      });
      return "grpc-stats";
    },
  ],
  [
    "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
    (_config, path, notes) => {
      notes.decorates(path, "grpc-web requests are not translated to gRPC; they go on as they are");
      return "grpc-web";
    },
  ],
  [
    ForwardSchema.typeName,
    (config, path, notes) => {
      const message = readConfig(config, ForwardSchema, path);
      checkFields(message, ForwardSchema, path, notes, { used: ["dns_cache_config"] });
      return "dynamic-forward-proxy";
    },
  ],
  [HttpStateSchema.typeName, filterState(HttpStateSchema, "on_request_headers")],
  [NetworkStateSchema.typeName, filterState(NetworkStateSchema, "on_new_connection")],
]);

/** Undefined: nobody here knows this type. */
export function elsewhereRole(
  config: TypedConfig,
  path: Path,
  notes: Notes,
): FilterRole | undefined {
  return roles.get(config.typeName)?.(config, path, notes);
}

/**
 * The keys that istiod writes, with the formats that mean what our own context means. Another format for one of them
 * would change who is authenticated or where the request goes.
 */
const stateFormats: ReadonlyMap<string, readonly string[]> = new Map([
  [
    "envoy.filters.listener.original_dst.local_ip",
    [
      "%REQ(:AUTHORITY)%",
      "%FILTER_STATE(envoy.filters.listener.original_dst.local_ip:PLAIN)%",
      "%DYNAMIC_METADATA(envoy.filters.listener.original_dst:local)%",
    ],
  ],
  ["envoy.filters.listener.original_dst.remote_ip", ["%DOWNSTREAM_REMOTE_ADDRESS%"]],
  ["io.istio.connect_authority", ["%REQ(:AUTHORITY)%"]],
  ["io.istio.peer_principal", ["%DOWNSTREAM_PEER_URI_SAN%"]],
  ["io.istio.local_principal", ["%DOWNSTREAM_LOCAL_URI_SAN%"]],
  ["io.istio.source", ["%REQ(x-istio-source)%"]],
  [
    "istio.double_hbone.hbone_target_address",
    ["%DYNAMIC_METADATA(istio:double_hbone:hbone_target_address)%"],
  ],
]);

function filterState(
  schema: typeof HttpStateSchema | typeof NetworkStateSchema,
  field: string,
): RoleReader {
  return (config, path, notes) => {
    const message = readConfig(config, schema, path);
    checkFields(message, schema, path, notes, { used: [field] });
    const values =
      "onRequestHeaders" in message ? message.onRequestHeaders : message.onNewConnection;
    for (const [index, value] of values.entries()) {
      const valuePath = item(path, field, index);
      checkFields(value, FilterStateValueSchema, valuePath, notes, {
        used: ["object_key", "format_string"],
        decorative: ["factory_key", "read_only", "shared_with_upstream", "skip_if_empty"],
      });
      checkState(value, valuePath);
    }
    return "filter-state";
  };
}

function checkState(value: FilterStateValue, path: Path): void {
  const key = value.key.value ?? "";
  const formats = stateFormats.get(key);
  if (formats === undefined)
    throw new CompileError(at(path, "object_key"), `${key} is not supported`);
  const format = value.value.value?.format;
  const text =
    format?.case === "textFormatSource" && format.value.specifier.case === "inlineString"
      ? format.value.specifier.value
      : format?.case === "textFormat"
        ? format.value
        : undefined;
  if (text === undefined || !formats.includes(text))
    throw new CompileError(
      at(path, "format_string"),
      `${text ?? "a format that is not text"} is not supported for ${key}`,
    );
}
