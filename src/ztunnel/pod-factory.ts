/** Starts the whole proxy of a pod for the workload manager: listeners, connections and DNS in the pod's namespace. */
import type { PodNetwork } from "../shared/os/network.ts";
import { podNetwork } from "../shared/os/pod-network.ts";
import type { PodState } from "./admin/config-dump.ts";
import { lookup } from "./dns/lookup.ts";
import type { DnsMetrics } from "./dns/metrics.ts";
import { type NamespaceId, podResolvConfPaths } from "./dns/pod-resolv-conf.ts";
import { resolverFromFiles } from "./dns/resolv-conf-file.ts";
import { startDnsServer } from "./dns/server.ts";
import type { Pod, PodInfo, PodProxy, PodProxyFactory } from "./inpod/pod-proxy.ts";
import {
  type Companion,
  type ProxyKind,
  type RunningPodProxy,
  startPodProxy,
} from "./proxy/pod-proxy.ts";
import type { NodeScope, PodScope } from "./proxy/scope.ts";
import { startSocks5 } from "./proxy/socks5.ts";

/** Our own, where the pod's cannot be read: what the node can ask, the pod can ask through us. */
const resolvConf = "/etc/resolv.conf";

/** Several as one. */
function companions(...members: readonly (Companion | undefined)[]): Companion {
  const present = members.filter((member) => member !== undefined);
  return {
    drain: async (deadlineMs) => {
      await Promise.all(present.map((member) => member.drain(deadlineMs)));
    },
    stop: () => {
      for (const member of present) member.stop();
    },
  };
}

export class PodProxies implements PodProxyFactory {
  readonly #node: NodeScope;
  readonly #dnsMetrics: DnsMetrics;
  readonly #running = new Map<string, RunningPodProxy>();

  constructor(node: NodeScope, dnsMetrics: DnsMetrics) {
    this.#node = node;
    this.#dnsMetrics = dnsMetrics;
  }

  /** What a pod's proxy consists of, by the settings. */
  get podKind(): ProxyKind {
    return this.#node.config.proxy ? "pod" : "dns-only";
  }

  async start(pod: Pod): Promise<PodProxy> {
    const { namespace, info } = pod;
    const network = podNetwork(namespace, this.#node.clock);
    const proxy = await this.startIn(network, info, this.podKind, namespace);
    this.#running.set(pod.uid, proxy);
    const forget = (): void => {
      if (this.#running.get(pod.uid) === proxy) this.#running.delete(pod.uid);
    };
    return {
      drain: async (deadlineMs) => {
        await proxy.drain(deadlineMs);
        forget();
      },
      stop: () => {
        proxy.stop();
        forget();
      },
    };
  }

  /** A proxy outside the workload manager: the one of dedicated mode, and the one for ourselves. */
  startIn(
    network: PodNetwork,
    info: PodInfo,
    kind: ProxyKind,
    namespace?: NamespaceId,
  ): Promise<RunningPodProxy> {
    return startPodProxy(this.#node, info, network, {
      kind,
      ...(kind === "self-inbound"
        ? {}
        : { companion: (scope: PodScope) => this.#startCompanions(scope, kind, namespace) }),
    });
  }

  /** DNS and SOCKS5, as far as they are wanted. */
  async #startCompanions(
    scope: PodScope,
    kind: ProxyKind,
    namespace: NamespaceId | undefined,
  ): Promise<Companion> {
    const { config, resolveHostname } = this.#node;
    const dns = config.dnsProxy ? await this.#startDns(scope, namespace) : undefined;
    if (!config.socks5 || kind !== "pod") return companions(dns);
    const families = config.ipv6Enabled ? ([4, 6] as const) : ([4] as const);
    try {
      const socks5 = await startSocks5(scope, (name, signal) =>
        dns === undefined
          ? resolveHostname(name, 4, signal)
          : lookup((packet, protocol) => dns.ask(packet, protocol), name, families),
      );
      return companions(dns, socks5);
    } catch (thrown) {
      dns?.stop();
      throw thrown;
    }
  }

  /** For the configuration dump. */
  states(): readonly PodState[] {
    return [...this.#running].map(([uid, { info, connections }]) => ({
      uid,
      state: "Up",
      info,
      connections,
    }));
  }

  #startDns(scope: PodScope, namespace: NamespaceId | undefined) {
    const { config, clock, store, logger, random, sockets } = this.#node;
    const podFiles = namespace === undefined ? () => [] : podResolvConfPaths(namespace, clock);
    return startDnsServer(
      {
        network: scope.network,
        view: store,
        client: () => scope.local.current(),
        resolver: resolverFromFiles(
          {
            paths: () => [...podFiles(), resolvConf],
            allowLoopback: config.proxyMode === "dedicated",
          },
          clock,
        ),
        metrics: this.#dnsMetrics,
        logger: logger.scope("dns"),
        clock,
        random,
      },
      {
        port: config.dnsProxyPort,
        reusePort: config.inpodPortReuse,
        mark: sockets.mark,
        ipv6Enabled: config.ipv6Enabled,
        clusterDomain: config.clusterDomain,
        preferredNamespace: config.preferredServiceNamespace,
      },
    );
  }
}
