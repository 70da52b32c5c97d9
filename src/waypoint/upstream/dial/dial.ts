/** What a connection to an endpoint is, for those who open and those who use it. */
import type { StreamEndpoint } from "../../../shared/hbone/tunnel.ts";
import type { SocketAddress } from "../../../shared/net/authority.ts";
import type { TcpKeepAlive } from "../../model/cluster.ts";
import type { EndpointTarget } from "../../model/endpoints.ts";
import type { TransportConfig } from "../../model/upstream-transport.ts";

export interface DialRequest {
  readonly target: EndpointTarget;
  readonly transport: TransportConfig;
  readonly keepAlive: TcpKeepAlive | undefined;
  /** For the whole of it: TCP, tunnel, TLS. */
  readonly timeoutMs: number;
  /** Overrides the configured SNI (auto_sni), and with `checkName` the peer must be that. */
  readonly serverName: string | undefined;
  readonly checkName: boolean;
  /** Whom a PROXY header tells of. */
  readonly proxied:
    | { readonly source: SocketAddress; readonly destination: SocketAddress }
    | undefined;
  /** Offered where TLS says nothing itself. */
  readonly alpn: readonly string[];
}

export interface Dialed {
  readonly stream: StreamEndpoint;
  /** As Envoy prints UPSTREAM_LOCAL_ADDRESS. */
  readonly localAddress: string | undefined;
}

/** Rejects with UpstreamError, or with the signal's reason. */
export type Dial = (request: DialRequest, signal: AbortSignal) => Promise<Dialed>;
