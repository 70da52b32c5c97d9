/** What the parts of the data path share: once for the node, and once for each pod. */
import type { Clock } from "../../shared/base/clock.ts";
import type { HbonePool } from "../../shared/hbone/pool.ts";
import type { SecretSource } from "../../shared/identity/secret-source.ts";
import type { MeshStore } from "../../shared/model/store.ts";
import type { IpAddress, IpFamily } from "../../shared/net/ip.ts";
import type { KeepAlive, PodNetwork } from "../../shared/os/network.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { ZtunnelConfig } from "../config.ts";
import type { PodInfo } from "../inpod/pod-proxy.ts";
import type { TrafficReporter } from "../telemetry/report.ts";
import type { ConnectionRegistry } from "./connections.ts";
import type { DecisionRing } from "./decisions.ts";
import type { LocalWorkload } from "./local-workload.ts";
import type { Demand } from "./on-demand.ts";

/** Addresses of a hostname by the node's resolver; empty when there are none. */
export type ResolveHostname = (
  hostname: string,
  preferred: IpFamily,
  signal: AbortSignal,
) => Promise<readonly IpAddress[]>;

export interface NodeScope {
  readonly config: ZtunnelConfig;
  readonly store: MeshStore;
  readonly secrets: SecretSource;
  readonly reporter: TrafficReporter;
  readonly decisions: DecisionRing;
  /** Undefined when all addresses are subscribed. */
  readonly demand: Demand | undefined;
  readonly resolveHostname: ResolveHostname;
  /** Ports of the proxy itself. */
  readonly illegalPorts: ReadonlySet<number>;
  /** Derived from the configuration once; spread into socket options. */
  readonly sockets: { readonly mark?: number; readonly keepAlive?: KeepAlive };
  /** Of scope `proxy`. */
  readonly logger: Logger;
  /** Of scope `rbac`: what policies decided. */
  readonly policyLogger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

export interface PodScope {
  readonly node: NodeScope;
  readonly info: PodInfo;
  readonly network: PodNetwork;
  readonly pool: HbonePool;
  readonly connections: ConnectionRegistry;
  readonly local: LocalWorkload;
  /** False where the client's address is not to be shown to the application (our own listener, or never wanted). */
  readonly preserveSource: boolean;
}

/** Socket options that follow from the configuration. */
export function socketOptions(config: ZtunnelConfig): NodeScope["sockets"] {
  const { packetMark, keepalive, userTimeoutEnabled } = config;
  return {
    ...(packetMark === undefined ? {} : { mark: packetMark }),
    ...(keepalive === undefined
      ? {}
      : {
          keepAlive: {
            idleSeconds: Math.max(1, Math.round(keepalive.idleMs / 1000)),
            intervalSeconds: Math.max(1, Math.round(keepalive.intervalMs / 1000)),
            probes: keepalive.retries,
            ...(userTimeoutEnabled
              ? { userTimeoutMs: keepalive.idleMs + keepalive.retries * keepalive.intervalMs }
              : {}),
          },
        }),
  };
}
