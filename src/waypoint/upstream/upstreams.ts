/** The upstream side of a waypoint, put together: clusters over the real network. */
import type { Clock } from "../../shared/base/clock.ts";
import { MeshError } from "../../shared/base/errors.ts";
import type { PodNetwork } from "../../shared/os/network.ts";
import { createDial } from "./dial/dialer.ts";
import { type Resolve, systemResolve } from "./dial/resolver.ts";
import type { UpstreamSecrets } from "./dial/secrets.ts";
import { defaultTunnelSettings, Tunnels } from "./dial/tunnels.ts";
import type { PeerOf } from "./live-endpoint.ts";
import { ClusterManager } from "./manager.ts";
import { createOpenCodec } from "./pool/open-codec.ts";

export interface UpstreamsDeps {
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  readonly network: Pick<PodNetwork, "dialTcp">;
  readonly secrets: UpstreamSecrets;
  readonly peerOf: PeerOf;
  /** The name of our network, as ISTIO_META_NETWORK has it. */
  readonly networkName: string;
  /** The system's unless given. */
  readonly resolve?: Resolve;
}

export interface Upstreams {
  readonly clusters: ClusterManager;
  readonly tunnels: Tunnels;
  /** No new connections; those that are there end with their last request. */
  drain(): void;
  /** Cuts everything. */
  destroy(): void;
}

export function createUpstreams(deps: UpstreamsDeps): Upstreams {
  const { clock, random, network, secrets, peerOf, networkName } = deps;
  const resolve = deps.resolve ?? systemResolve();
  const tunnels = new Tunnels(
    { clock, network, secrets },
    { ...defaultTunnelSettings, network: networkName },
  );
  const clusters = new ClusterManager({
    clock,
    random,
    resolve,
    peerOf,
    dial: createDial({ clock, network, secrets, tunnels, resolve }),
    openCodec: createOpenCodec(clock),
    configureTunnels: (settings) => tunnels.configure(settings),
    network: networkName,
  });
  return {
    clusters,
    tunnels,
    drain: () => clusters.close(),
    destroy: () => {
      clusters.destroy("shutting down");
      tunnels.destroy(new MeshError("drained", "shutting down"));
    },
  };
}
