/** Transport sockets of clusters. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TransportSocketSchema } from "../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import { ProxyProtocolConfig_Version } from "../../../shared/wire/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { InternalUpstreamTransportSchema } from "../../../shared/wire/gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../../../shared/wire/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../../../shared/wire/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { UpstreamTlsContextSchema } from "../../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { ORIGINAL_DST_METADATA } from "./names.ts";
import { pack } from "./wire.ts";

export type TransportSocket = MessageInitShape<typeof TransportSocketSchema>;

function socket(name: string, value: ReturnType<typeof pack>): TransportSocket {
  return { name, configType: { case: "typedConfig", value } };
}

export const rawBuffer: TransportSocket = socket("raw_buffer", pack(RawBufferSchema));

export const plainSocket: TransportSocket = socket(
  "envoy.transport_sockets.raw_buffer",
  pack(RawBufferSchema),
);

export function tlsSocket(
  name: string,
  context: MessageInitShape<typeof UpstreamTlsContextSchema>,
): TransportSocket {
  return socket(name, pack(UpstreamTlsContextSchema, context));
}

export function proxyProtocolSocket(version: "V1" | "V2", inner: TransportSocket): TransportSocket {
  return socket(
    "envoy.transport_sockets.upstream_proxy_protocol",
    pack(ProxyProtocolUpstreamTransportSchema, {
      config: { version: ProxyProtocolConfig_Version[version] },
      transportSocket: inner,
    }),
  );
}

/** Into a listener of the same process. */
export function internalSocket(
  inner: TransportSocket,
  name = "internal_upstream",
): TransportSocket {
  return socket(name, pack(InternalUpstreamTransportSchema, { transportSocket: inner }));
}

function ofHost(name: string) {
  return { kind: { kind: { case: "host", value: {} } }, name } as const;
}

/** As `tunnelSocket`, for a cluster that may be reached in several ways; metrics read what the cluster's metadata says. */
export function matchedTunnelSocket(inner: TransportSocket): TransportSocket {
  const ofCluster = { kind: { kind: { case: "cluster", value: {} } }, name: "istio" } as const;
  return socket(
    "envoy.transport_sockets.internal_upstream",
    pack(InternalUpstreamTransportSchema, {
      passthroughMetadata: [ofHost(ORIGINAL_DST_METADATA), ofCluster, ofHost("istio")],
      transportSocket: inner,
    }),
  );
}

/** As `internalSocket`, with the endpoint's metadata: where the tunnel shall lead. */
export function tunnelSocket(inner: TransportSocket): TransportSocket {
  return socket(
    "internal_upstream",
    pack(InternalUpstreamTransportSchema, {
      passthroughMetadata: [ofHost(ORIGINAL_DST_METADATA), ofHost("istio")],
      transportSocket: inner,
    }),
  );
}
