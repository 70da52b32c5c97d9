/** Parts of Envoy's configuration that a sidecar and a waypoint have alike. */
import type { CertificateFiles } from "./certificates.ts";

export const ADMIN_PORT = 15000;

/** An extension by its type below `envoy.extensions`. */
export function typed(name: string, type: string, config: object = {}): object {
  const url = `type.googleapis.com/envoy.extensions.${type}`;
  return { name, typed_config: { "@type": url, ...config } };
}

/** Mutual TLS 1.3. `peer` is how the SPIFFE identity of the other side is matched. */
export function tlsSocket(
  side: "UpstreamTlsContext" | "DownstreamTlsContext",
  certificate: CertificateFiles,
  peer: { readonly exact: string } | { readonly prefix: string },
  alpn: readonly string[] = [],
): object {
  return typed("tls", `transport_sockets.tls.v3.${side}`, {
    ...(side === "DownstreamTlsContext" ? { require_client_certificate: true } : {}),
    common_tls_context: {
      tls_params: {
        tls_minimum_protocol_version: "TLSv1_3",
        tls_maximum_protocol_version: "TLSv1_3",
      },
      ...(alpn.length === 0 ? {} : { alpn_protocols: alpn }),
      tls_certificates: [
        {
          certificate_chain: { filename: certificate.chain },
          private_key: { filename: certificate.key },
        },
      ],
      validation_context: {
        trusted_ca: { filename: certificate.root },
        match_typed_subject_alt_names: [{ san_type: "URI", matcher: peer }],
      },
    },
  });
}

export const originalDestination = typed(
  "original_dst",
  "filters.listener.original_dst.v3.OriginalDst",
);

export function httpManager(config: object): object {
  const type = "filters.network.http_connection_manager.v3.HttpConnectionManager";
  return typed("http", type, config);
}

/** What each mesh has on the way of a request, after its policy. */
export const httpFilters: readonly object[] = [
  typed("grpc_stats", "filters.http.grpc_stats.v3.FilterConfig", { emit_filter_state: true }),
  typed("fault", "filters.http.fault.v3.HTTPFault"),
  typed("cors", "filters.http.cors.v3.Cors"),
  typed("router", "filters.http.router.v3.Router"),
];

/** How a cluster's servers are spoken to. */
export function httpOptions(options: object): object {
  const name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  const type = `type.googleapis.com/${name}`;
  return { typed_extension_protocol_options: { [name]: { "@type": type, ...options } } };
}

export const admin = {
  address: { socket_address: { address: "127.0.0.1", port_value: ADMIN_PORT } },
};
