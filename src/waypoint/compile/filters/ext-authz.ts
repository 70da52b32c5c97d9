/** ext_authz: which server decides, what it gets to see, and what its answer may change. */
import { ApiVersion } from "../../../shared/wire/gen/envoy/config/core/v3/config_source_pb.js";
import {
  type BufferSettings,
  BufferSettingsSchema,
  type ExtAuthz,
  ExtAuthzSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { ExtAuthzSchema as NetworkExtAuthzSchema } from "../../../shared/wire/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import type { FilterEnvironment } from "../../filters/environment.ts";
import type { BodySettings, ExtAuthzConfig } from "../../filters/ext-authz/config.ts";
import { ExtAuthzFilter } from "../../filters/ext-authz/filter.ts";
import { NetworkAuthzFilter } from "../../filters/ext-authz/network-filter.ts";
import type { HttpFilter, NetworkFilter } from "../../filters/filter.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "../notes.ts";
import { compileMetadataMatcher, compileRuntimeFraction } from "../value-matchers.ts";
import { compileHttpService } from "./ext-authz-http.ts";
import { compileList } from "./ext-authz-list.ts";
import { compileGrpcService } from "./services.ts";
import { readConfig, type TypedConfig } from "./typed-config.ts";

/** The reference's; istiod always says its own. */
const DEFAULT_TIMEOUT_MS = 200;
const FORBIDDEN = 403;

export function compileExtAuthz(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
): HttpFilter {
  const message = readConfig(config, ExtAuthzSchema, path);
  return new ExtAuthzFilter(name, compileExtAuthzConfig(message, path, notes), environment.calls);
}

export function compileExtAuthzConfig(message: ExtAuthz, path: Path, notes: Notes): ExtAuthzConfig {
  checkFields(message, ExtAuthzSchema, path, notes, {
    used: [
      "grpc_service",
      "http_service",
      "failure_mode_allow",
      "failure_mode_allow_header_add",
      "with_request_body",
      "clear_route_cache",
      "status_on_error",
      "metadata_context_namespaces",
      "filter_enabled",
      "filter_enabled_metadata",
      "allowed_headers",
      "disallowed_headers",
      "include_tls_session",
      // What the server says is always validated here.
      "validate_mutations",
      "transport_api_version",
    ],
    decorative: ["stat_prefix", "bootstrap_metadata_labels_key", "charge_cluster_response_stats"],
  });
  checkVersion(message.transportApiVersion, path);
  const { filterEnabled, filterEnabledMetadata, withRequestBody, allowedHeaders } = message;
  const http = message.services.case === "httpService" ? message.services.value : undefined;
  const legacy = http?.authorizationRequest?.allowedHeaders;
  const allowed = allowedHeaders ?? legacy;
  return {
    service: compileService(message, path, notes),
    failureModeAllow: message.failureModeAllow,
    failureModeAllowHeader: message.failureModeAllowHeaderAdd,
    statusOnError: message.statusOnError === undefined ? FORBIDDEN : message.statusOnError.code,
    body: withRequestBody && compileBody(withRequestBody, at(path, "with_request_body"), notes),
    clearRouteCache: message.clearRouteCache,
    enabled:
      filterEnabled && compileRuntimeFraction(filterEnabled, at(path, "filter_enabled"), notes),
    enabledByMetadata:
      filterEnabledMetadata &&
      compileMetadataMatcher(filterEnabledMetadata, at(path, "filter_enabled_metadata"), notes),
    metadataNamespaces: message.metadataContextNamespaces,
    includeTlsSession: message.includeTlsSession,
    allowedHeaders: allowed && compileList(allowed, at(path, "allowed_headers"), notes),
    disallowedHeaders: compileList(
      message.disallowedHeaders,
      at(path, "disallowed_headers"),
      notes,
    ),
  };
}

function compileService(
  { services }: ExtAuthz,
  path: Path,
  notes: Notes,
): ExtAuthzConfig["service"] {
  switch (services.case) {
    case "grpcService":
      return {
        kind: "grpc",
        ...compileGrpcService(services.value, at(path, "grpc_service"), notes, DEFAULT_TIMEOUT_MS),
      };
    case "httpService":
      return compileHttpService(services.value, at(path, "http_service"), notes);
    default:
      throw new CompileError(path, "has neither grpc_service nor http_service");
  }
}

function checkVersion(version: ApiVersion, path: Path): void {
  if (version === ApiVersion.V2)
    throw new CompileError(at(path, "transport_api_version"), "V2 is not supported");
}

function compileBody(message: BufferSettings, path: Path, notes: Notes): BodySettings {
  checkFields(message, BufferSettingsSchema, path, notes, {
    used: ["max_request_bytes", "allow_partial_message", "pack_as_bytes"],
  });
  if (message.maxRequestBytes === 0)
    throw new CompileError(at(path, "max_request_bytes"), "is zero");
  return {
    maxBytes: message.maxRequestBytes,
    allowPartial: message.allowPartialMessage,
    asBytes: message.packAsBytes,
  };
}

export function compileNetworkExtAuthz(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
): NetworkFilter {
  const message = readConfig(config, NetworkExtAuthzSchema, path);
  checkFields(message, NetworkExtAuthzSchema, path, notes, {
    used: [
      "grpc_service",
      "failure_mode_allow",
      "filter_enabled_metadata",
      "include_tls_session",
      "transport_api_version",
    ],
    decorative: ["stat_prefix", "bootstrap_metadata_labels_key"],
  });
  checkVersion(message.transportApiVersion, path);
  const { filterEnabledMetadata, grpcService } = message;
  return new NetworkAuthzFilter(
    name,
    {
      service: {
        kind: "grpc",
        ...compileGrpcService(grpcService, at(path, "grpc_service"), notes, DEFAULT_TIMEOUT_MS),
      },
      failureModeAllow: message.failureModeAllow,
      enabledByMetadata:
        filterEnabledMetadata &&
        compileMetadataMatcher(filterEnabledMetadata, at(path, "filter_enabled_metadata"), notes),
      includeTlsSession: message.includeTlsSession,
    },
    environment.calls,
  );
}
