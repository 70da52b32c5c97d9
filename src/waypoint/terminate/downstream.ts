/** From a CONNECT to what every request inside its tunnel knows of its client (wire/waypoint.md sections 3.2 and 8.1). */
import type { IncomingTunnel } from "../../shared/hbone/tunnel.ts";
import { formatSpiffe, type SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import { parseAuthority, type SocketAddress } from "../../shared/net/authority.ts";
import type { DownstreamInfo } from "../http/stream.ts";

/** What all tunnels of one HBONE connection have in common. */
export interface SessionFacts {
  readonly peer: SpiffeIdentity;
  readonly local: SpiffeIdentity;
  readonly source: SocketAddress;
}

/**
 * The destination is the authority if that is an address. A name has no address: only a matcher that looks at authorities can
 * find a chain for it.
 */
export function downstreamOf(
  facts: SessionFacts,
  tunnel: Pick<IncomingTunnel, "authority" | "headers">,
  connectionId: number,
  startedWallMs: number,
): DownstreamInfo {
  const authority = parseAuthority(tunnel.authority);
  return {
    peerPrincipal: formatSpiffe(facts.peer),
    localPrincipal: formatSpiffe(facts.local),
    source: facts.source,
    destination:
      authority?.kind === "address"
        ? authority.address
        : { ip: "", port: authority === undefined ? 0 : authority.port },
    connectAuthority: tunnel.authority,
    connectHeaders: tunnel.headers,
    requestedServerName: undefined,
    connectionId,
    startedWallMs,
  };
}
