/** Starts the whole proxy of a pod for the workload manager: listeners, connections and DNS in the pod's namespace. */
import type { PodNetwork } from "../shared/os/network.ts";
import type { NetworkNamespace } from "../shared/os/network-namespace.ts";
import { podNetwork } from "../shared/os/pod-network.ts";
import type { PodState } from "./admin/config-dump.ts";
import { lookup } from "./dns/lookup.ts";
import type { DnsMetrics } from "./dns/metrics.ts";
import { podResolvConfPaths } from "./dns/pod-resolv-conf.ts";
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
import type { Crew, PodMates } from "./threads/crew.ts";
import { openConnections } from "./threads/open-connections.ts";

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
    siblings: present.find(({ siblings }) => siblings !== undefined)?.siblings,
  };
}

/** A pod's proxy on this thread, and those on the others. */
interface Running {
  readonly proxy: RunningPodProxy;
  readonly mates: PodMates | undefined;
}

export class PodProxies implements PodProxyFactory {
  readonly #node: NodeScope;
  readonly #dnsMetrics: DnsMetrics;
  /** Undefined when this thread is the only one. */
  readonly #crew: Crew | undefined;
  readonly #running = new Map<string, Running>();

  constructor(node: NodeScope, dnsMetrics: DnsMetrics, crew: Crew | undefined) {
    this.#node = node;
    this.#dnsMetrics = dnsMetrics;
    this.#crew = crew;
  }

  /** What a pod's proxy consists of, by the settings. */
  get podKind(): ProxyKind {
    return this.#node.config.proxy ? "pod" : "dns-only";
  }

  async start(pod: Pod): Promise<PodProxy> {
    const { namespace, info } = pod;
    const network = podNetwork(namespace, this.#node.clock);
    const running = await this.#start(network, info, this.podKind, namespace);
    const { proxy } = running;
    this.#running.set(pod.uid, running);
    const forget = (): void => {
      if (this.#running.get(pod.uid) === running) this.#running.delete(pod.uid);
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
  async startIn(network: PodNetwork, info: PodInfo, kind: ProxyKind): Promise<RunningPodProxy> {
    return (await this.#start(network, info, kind, undefined)).proxy;
  }

  async #start(
    network: PodNetwork,
    info: PodInfo,
    kind: ProxyKind,
    namespace: NetworkNamespace | undefined,
  ): Promise<Running> {
    if (kind === "self-inbound") {
      const proxy = await startPodProxy(this.#node, info, network, { kind });
      return { proxy, mates: undefined };
    }
    const mates = kind === "pod" ? this.#crew?.newPod(info, namespace) : undefined;
    const companion = async (scope: PodScope): Promise<Companion> => {
      const own = await this.#startCompanions(scope, kind, namespace);
      if (mates === undefined) return own;
      try {
        await mates.start();
        return companions(own, mates);
      } catch (thrown) {
        own.stop();
        throw thrown;
      }
    };
    const placements = mates?.placements;
    const proxy = await startPodProxy(this.#node, info, network, { kind, companion, placements });
    mates?.serveWith(proxy);
    return { proxy, mates };
  }

  /** DNS and SOCKS5, as far as they are wanted. Both are small work: this thread does it alone. */
  async #startCompanions(
    scope: PodScope,
    kind: ProxyKind,
    namespace: NetworkNamespace | undefined,
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
  async states(): Promise<readonly PodState[]> {
    const elsewhere = await this.#crew?.connections();
    return [...this.#running].map(([uid, { proxy, mates }]) => {
      const own = openConnections(proxy.connections);
      const others = mates && elsewhere?.get(mates.pod);
      const connections =
        elsewhere === undefined
          ? own
          : [...own.map((one) => ({ thread: 0, ...one })), ...(others ?? [])];
      return { uid, state: "Up", info: proxy.info, connections };
    });
  }

  #startDns(scope: PodScope, namespace: NetworkNamespace | undefined) {
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
