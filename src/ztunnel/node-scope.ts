/** What the data path of one thread stands on; the main thread's and every other one's is made here. */
import type { Clock } from "../shared/base/clock.ts";
import type { SecretSource } from "../shared/identity/secret-source.ts";
import type { MeshStore } from "../shared/model/store.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import type { ZtunnelConfig } from "./config.ts";
import { DecisionRing } from "./proxy/decisions.ts";
import type { Demand } from "./proxy/on-demand.ts";
import { createHostnameResolver } from "./proxy/resolve-hostname.ts";
import { illegalPorts } from "./proxy/route.ts";
import { type NodeScope, socketOptions } from "./proxy/scope.ts";
import type { TrafficReporter } from "./telemetry/report.ts";

export interface NodeParts {
  readonly config: ZtunnelConfig;
  readonly store: MeshStore;
  readonly secrets: SecretSource;
  readonly reporter: TrafficReporter;
  /** Undefined when all addresses are subscribed. */
  readonly demand: Demand | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

export function createNodeScope(parts: NodeParts): NodeScope {
  const { config, clock, logger } = parts;
  return {
    ...parts,
    decisions: new DecisionRing(config.decisionRingSize),
    resolveHostname: createHostnameResolver(clock, config.ipv6Enabled),
    illegalPorts: illegalPorts({ socks5: config.socks5 }),
    sockets: socketOptions(config),
    logger: logger.scope("proxy"),
    policyLogger: logger.scope("rbac"),
  };
}
