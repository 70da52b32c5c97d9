/**
 * A topology as commands: batches for `ip`, sysctls and nft rules, one step per namespace. Pure, so that the whole plan
 * can be read in a test; world.ts applies it.
 *
 * Pods hang on point-to-point links instead of a bridge: replies then pass the node's own namespace even between two
 * pods of one node, where the connection tracking that stands in for kube-proxy has to see them.
 */
import {
  backendsOf,
  FABRIC_INTERFACE,
  linkOf,
  type Node,
  type Pod,
  ROOT_IP,
  type ServicePortSpec,
  type ServiceSpec,
  type Topology,
} from "./topology.ts";

/** What is done in one namespace, after all namespaces and links exist. */
export interface NamespaceSetup {
  /** Undefined is the root of the world. */
  readonly namespace: string | undefined;
  /** Lines for `ip -batch`. */
  readonly ip: readonly string[];
  readonly sysctls: readonly (readonly [name: string, value: string])[];
  /** Rules for `nft -f`; empty when there are none. */
  readonly nft: string;
}

export interface WorldPlan {
  /** Lines for one `ip -batch` in the root: namespaces, then links. */
  readonly create: readonly string[];
  readonly setups: readonly NamespaceSetup[];
}

/** The same link-local gateway on every pod link; a link has nobody else on it. */
const GATEWAY6 = "fe80::1";

/** An automatic link-local address is unusable for its first second, and all of IPv6 with it; so each gets one by hand. */
function linkLocal(device: string, host: string): string[] {
  return [`link set ${device} addrgenmode none`, `addr add fe80::${host}/64 dev ${device} nodad`];
}

function createLines(topology: Topology): string[] {
  return [
    ...[...topology.nodes.map(({ name }) => name), ...topology.pods.map(({ netns }) => netns)].map(
      (name) => `netns add ${name}`,
    ),
    // Without queriers snooping would hold back neighbor discovery.
    `link add ${FABRIC_INTERFACE} type bridge mcast_snooping 0`,
    ...topology.nodes.map(
      ({ name }) => `link add ${linkOf(name)} type veth peer name eth0 netns ${name}`,
    ),
    ...topology.pods.map(
      ({ netns, hostInterface, node }) =>
        `link add ${hostInterface} netns ${node} type veth peer name eth0 netns ${netns}`,
    ),
  ];
}

function rootSetup(topology: Topology): NamespaceSetup {
  return {
    namespace: undefined,
    ip: [
      "link set lo up",
      `addr add ${ROOT_IP}/24 dev ${FABRIC_INTERFACE}`,
      `addr add fd30::1/64 dev ${FABRIC_INTERFACE} nodad`,
      ...linkLocal(FABRIC_INTERFACE, "1"),
      `link set ${FABRIC_INTERFACE} up`,
      ...topology.nodes.flatMap(({ name, index, ip, podCidr, podCidr6 }) => [
        `link set ${linkOf(name)} master ${FABRIC_INTERFACE}`,
        `link set ${linkOf(name)} up`,
        `route add ${podCidr} via ${ip}`,
        `route add ${podCidr6} via fd30::${10 + index}`,
      ]),
    ],
    sysctls: [],
    nft: "",
  };
}

function nodeSetup(topology: Topology, node: Node): NamespaceSetup {
  const others = topology.nodes.filter(({ name }) => name !== node.name);
  const pods = topology.pods.filter((pod) => pod.node === node.name);
  return {
    namespace: node.name,
    ip: [
      "link set lo up",
      `addr add ${node.ip}/24 dev eth0`,
      `addr add fd30::${10 + node.index}/64 dev eth0 nodad`,
      ...linkLocal("eth0", String(10 + node.index)),
      "link set eth0 up",
      `route add default via ${ROOT_IP}`,
      "route add default via fd30::1",
      ...others.flatMap(({ index, ip, podCidr, podCidr6 }) => [
        `route add ${podCidr} via ${ip}`,
        `route add ${podCidr6} via fd30::${10 + index}`,
      ]),
      ...pods.flatMap(({ hostInterface, ip, ip6 }) => [
        `addr add ${node.gateway}/32 dev ${hostInterface}`,
        ...linkLocal(hostInterface, "1"),
        `link set ${hostInterface} up`,
        `route add ${ip}/32 dev ${hostInterface}`,
        `route add ${ip6}/128 dev ${hostInterface}`,
      ]),
    ],
    sysctls: [
      ["net/ipv4/ip_forward", "1"],
      ["net/ipv6/conf/all/forwarding", "1"],
    ],
    nft: serviceRules(topology),
  };
}

function podSetup(node: Node, pod: Pod): NamespaceSetup {
  return {
    namespace: pod.netns,
    ip: [
      "link set lo up",
      `addr add ${pod.ip}/32 dev eth0`,
      `addr add ${pod.ip6}/128 dev eth0 nodad`,
      ...linkLocal("eth0", "2"),
      "link set eth0 up",
      `route add ${node.gateway} dev eth0 scope link`,
      `route add default via ${node.gateway}`,
      `route add default via ${GATEWAY6} dev eth0`,
    ],
    sysctls: [],
    nft: "",
  };
}

function serviceRule(topology: Topology, service: ServiceSpec, port: ServicePortSpec): string[] {
  const backends = backendsOf(topology, service, port);
  if (backends.length === 0) return [];
  const choices = backends.map(({ ip, port: target }, slot) => `${slot} : ${ip} . ${target}`);
  return [
    `ip daddr ${service.clusterIp} tcp dport ${port.port} dnat ip addr . port to numgen random mod ${backends.length} map { ${choices.join(", ")} }`,
  ];
}

/** What kube-proxy does for pods outside the mesh: a service's address becomes that of one of its pods. */
export function serviceRules(topology: Topology): string {
  const rules = topology.services.flatMap((service) =>
    service.ports.flatMap((port) => serviceRule(topology, service, port)),
  );
  if (rules.length === 0) return "";
  return `table ip services {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
${rules.map((rule) => `    ${rule}`).join("\n")}
  }
}
`;
}

export function planWorld(topology: Topology): WorldPlan {
  const nodesByName = new Map(topology.nodes.map((node) => [node.name, node]));
  return {
    create: createLines(topology),
    setups: [
      rootSetup(topology),
      ...topology.nodes.map((node) => nodeSetup(topology, node)),
      ...topology.pods.flatMap((pod) => {
        const node = nodesByName.get(pod.node);
        return node === undefined ? [] : [podSetup(node, pod)];
      }),
    ],
  };
}
