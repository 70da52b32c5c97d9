/** The DNS proxy of one pod: UDP and TCP on its loopback (wire/ztunnel.md section 7). */
import type { Clock } from "../../shared/base/clock.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { PodNetwork } from "../../shared/os/network.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { DnsMetrics } from "./metrics.ts";
import type { DnsClient, DnsView } from "./view.ts";

/** Whom to ask about names that are not the mesh's, and the suffixes that clients append. */
export interface ResolverSettings {
  readonly nameservers: readonly SocketAddress[];
  readonly searchDomains: readonly string[];
}

export interface DnsServerDeps {
  readonly network: PodNetwork;
  readonly view: DnsView;
  /** The pod's own workload. Undefined while the control plane has not sent it: queries get SERVFAIL. */
  readonly client: () => DnsClient | undefined | Promise<DnsClient | undefined>;
  /** Asked for every forwarded query; cheap. See resolver-settings.ts. */
  readonly resolver: () => ResolverSettings;
  readonly metrics: DnsMetrics;
  /** Of scope `dns`. */
  readonly logger: Logger;
  readonly clock: Clock;
  /** 0 (inclusive) to 1 (exclusive); shuffles answers. */
  readonly random: () => number;
}

export interface DnsServerSettings {
  /** 0 picks a free one, the same for all listeners (tests). */
  readonly port: number;
  readonly reusePort: boolean;
  readonly mark?: number | undefined;
  /** Off: no listener on ::1, no AAAA answers. */
  readonly ipv6Enabled: boolean;
  readonly clusterDomain: string;
  readonly preferredNamespace?: string | undefined;
}

export interface DnsServer {
  readonly port: number;
  /** Waits for open queries to be answered, at most until the deadline; then as stop(). */
  drain(deadlineMs: number): Promise<void>;
  /** Cuts everything now. Idempotent. */
  stop(): void;
}

/** Resolves when all listeners are bound; rejects (and leaves nothing behind) when one cannot be. */
export function startDnsServer(
  _deps: DnsServerDeps,
  _settings: DnsServerSettings,
): Promise<DnsServer> {
  throw new Error("not written yet");
}
