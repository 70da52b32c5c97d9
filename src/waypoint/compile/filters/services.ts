/** Servers that filters call, as clusters with an authority and a time limit. */
import {
  type GrpcService,
  GrpcService_EnvoyGrpcSchema,
  GrpcServiceSchema,
} from "../../../shared/wire/gen/envoy/config/core/v3/grpc_service_pb.js";
import {
  type HttpUri,
  HttpUriSchema,
} from "../../../shared/wire/gen/envoy/config/core/v3/http_uri_pb.js";
import { milliseconds } from "../cluster-values.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "../notes.ts";

export interface HttpTarget {
  readonly cluster: string;
  readonly uri: string;
  readonly timeoutMs: number;
}

export function compileHttpUri(message: HttpUri | undefined, path: Path, notes: Notes): HttpTarget {
  if (message === undefined) throw new CompileError(path, "is missing");
  checkFields(message, HttpUriSchema, path, notes, { used: ["uri", "cluster", "timeout"] });
  const { uri, timeout, httpUpstreamType } = message;
  const cluster = httpUpstreamType.value ?? "";
  if (cluster === "") throw new CompileError(at(path, "cluster"), "is missing");
  if (uri === "") throw new CompileError(at(path, "uri"), "is missing");
  return { cluster, uri, timeoutMs: milliseconds(timeout, 0) };
}

export interface GrpcTarget {
  readonly cluster: string;
  readonly authority: string;
  readonly timeoutMs: number;
  readonly metadata: readonly (readonly [name: string, value: string])[];
}

export function compileGrpcService(
  message: GrpcService | undefined,
  path: Path,
  notes: Notes,
  defaultTimeoutMs: number,
): GrpcTarget {
  if (message === undefined) throw new CompileError(path, "is missing");
  checkFields(message, GrpcServiceSchema, path, notes, {
    used: ["envoy_grpc", "timeout", "initial_metadata"],
  });
  if (message.targetSpecifier.case !== "envoyGrpc")
    throw new CompileError(at(path, "envoy_grpc"), "is missing");
  const service = message.targetSpecifier.value;
  const servicePath = at(path, "envoy_grpc");
  checkFields(service, GrpcService_EnvoyGrpcSchema, servicePath, notes, {
    used: ["cluster_name", "authority"],
    decorative: ["skip_envoy_headers", "max_receive_message_length"],
  });
  if (service.clusterName === "")
    throw new CompileError(at(servicePath, "cluster_name"), "is missing");
  return {
    cluster: service.clusterName,
    authority: service.authority === "" ? service.clusterName : service.authority,
    timeoutMs: milliseconds(message.timeout, defaultTimeoutMs),
    metadata: message.initialMetadata.map(({ key, value }) => [key.toLowerCase(), value]),
  };
}
