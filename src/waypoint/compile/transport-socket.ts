/** Transport sockets of clusters → what lies under a connection (wire/waypoint.md section 4.2). */

import {
  type Cluster_TransportSocketMatch,
  Cluster_TransportSocketMatchSchema,
} from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  type TransportSocket,
  TransportSocketSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  ProxyProtocolConfig_Version,
  ProxyProtocolConfigSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { InternalUpstreamTransportSchema } from "../../shared/wire/gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../../shared/wire/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../../shared/wire/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { UpstreamTlsContextSchema } from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { TransportConfig, TransportMatch } from "../model/upstream-transport.ts";
import { isObject, typeOf, unpackAs } from "./cluster-values.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";
import { compileUpstreamTls } from "./transport-socket-tls.ts";

export const plainTransport: TransportConfig = { proxyProtocol: undefined, tls: undefined };

export function compileTransport(
  socket: TransportSocket | undefined,
  path: Path,
  notes: Notes,
): TransportConfig {
  if (socket === undefined) return plainTransport;
  checkFields(socket, TransportSocketSchema, path, notes, { used: ["name", "typed_config"] });
  const configPath = at(path, "typed_config");
  if (socket.configType.case !== "typedConfig") throw new CompileError(configPath, "is missing");
  const any = socket.configType.value;
  switch (typeOf(any)) {
    case RawBufferSchema.typeName:
      return plainTransport;
    case UpstreamTlsContextSchema.typeName:
      return {
        proxyProtocol: undefined,
        tls: compileUpstreamTls(
          unpackAs(any, UpstreamTlsContextSchema, configPath),
          configPath,
          notes,
        ),
      };
    case InternalUpstreamTransportSchema.typeName: {
      const outer = unpackAs(any, InternalUpstreamTransportSchema, configPath);
      // What is passed to the internal listener stands in the endpoint already (compile/endpoints-target.ts).
      checkFields(outer, InternalUpstreamTransportSchema, configPath, notes, {
        used: ["transport_socket", "passthrough_metadata"],
      });
      return inner(outer.transportSocket, configPath, notes);
    }
    case ProxyProtocolUpstreamTransportSchema.typeName: {
      const outer = unpackAs(any, ProxyProtocolUpstreamTransportSchema, configPath);
      checkFields(outer, ProxyProtocolUpstreamTransportSchema, configPath, notes, {
        used: ["config", "transport_socket"],
      });
      const config = at(configPath, "config");
      if (outer.config !== undefined)
        checkFields(outer.config, ProxyProtocolConfigSchema, config, notes, { used: ["version"] });
      const under = inner(outer.transportSocket, configPath, notes);
      if (under.proxyProtocol !== undefined)
        throw new CompileError(at(configPath, "transport_socket"), "writes a second PROXY header");
      const isV2 = outer.config?.version === ProxyProtocolConfig_Version.V2;
      return { ...under, proxyProtocol: isV2 ? "v2" : "v1" };
    }
    default:
      throw new CompileError(configPath, `${typeOf(any)} is not supported`);
  }
}

function inner(socket: TransportSocket | undefined, path: Path, notes: Notes): TransportConfig {
  const innerPath = at(path, "transport_socket");
  if (socket === undefined) throw new CompileError(innerPath, "is missing");
  return compileTransport(socket, innerPath, notes);
}

export function compileTransportMatch(
  match: Cluster_TransportSocketMatch,
  path: Path,
  notes: Notes,
): TransportMatch {
  checkFields(match, Cluster_TransportSocketMatchSchema, path, notes, {
    used: ["name", "match", "transport_socket"],
  });
  const labels = isObject(match.match) ? Object.entries(match.match) : [];
  return {
    name: match.name,
    labels: new Map(
      labels.map(([key, value]) => [
        key,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
    transport: compileTransport(match.transportSocket, at(path, "transport_socket"), notes),
  };
}
