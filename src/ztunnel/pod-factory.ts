/** Starts the whole proxy of a pod for the workload manager: listeners, connections and DNS in the pod's namespace. */
import type { PodNetwork } from "../shared/os/network.ts";
import { podNetwork } from "../shared/os/pod-network.ts";
import type { PodState } from "./admin/config-dump.ts";
import type { DnsMetrics } from "./dns/metrics.ts";
import { type NamespaceId, podResolvConfPaths } from "./dns/pod-resolv-conf.ts";
import { resolverFromFiles } from "./dns/resolv-conf-file.ts";
import { startDnsServer } from "./dns/server.ts";
import type { Pod, PodInfo, PodProxy, PodProxyFactory } from "./inpod/pod-proxy.ts";
import { type ProxyKind, type RunningPodProxy, startPodProxy } from "./proxy/pod-proxy.ts";
import type { NodeScope, PodScope } from "./proxy/scope.ts";

/** Our own, where the pod's cannot be read: what the node can ask, the pod can ask through us. */
const resolvConf = "/etc/resolv.conf";

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
    const { config } = this.#node;
    return startPodProxy(this.#node, info, network, {
      kind,
      ...(config.dnsProxy && kind !== "self-inbound"
        ? { companion: (scope: PodScope) => this.#startDns(scope, namespace) }
        : {}),
    });
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
