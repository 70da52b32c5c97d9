/**
 * What a world consists of, as data: nodes, pods, services and the addresses that follow from their order. Pure; the
 * plan (plan.ts) turns it into commands, objects.ts into the Kubernetes objects that describe it.
 *
 *   world root (172.30.0.1: control plane, name server)
 *     |-- link-node1 -- node1 (172.30.0.11) -- pods 10.10.1.0/24, fd10:0:0:1::/64
 *     '-- link-node2 -- node2 (172.30.0.12) -- pods 10.10.2.0/24, fd10:0:0:2::/64
 *
 * Every packet between the nodes crosses `link-node1` and `link-node2` in the root: that is where tests look.
 */

export interface ServicePortSpec {
  readonly name: string;
  readonly port: number;
  /** A number, or the name of a container port of the pods. */
  readonly targetPort: number | string;
}

export interface ServiceSpec {
  readonly name: string;
  readonly namespace: string;
  /** The service's virtual address, in 10.96.0.0/16. */
  readonly clusterIp: string;
  /** Selects the pods whose `app` equals it. */
  readonly app: string;
  readonly ports: readonly ServicePortSpec[];
}

export interface PodSpec {
  readonly name: string;
  readonly namespace: string;
  readonly app: string;
  readonly version: string;
  readonly serviceAccount: string;
  readonly node: string;
  /** Named container ports, for services that target a name. */
  readonly ports: Readonly<Record<string, number>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** False: the pod's readiness probe fails. */
  readonly ready?: boolean;
}

export interface TopologySpec {
  readonly nodes: readonly string[];
  readonly pods: readonly PodSpec[];
  readonly services: readonly ServiceSpec[];
}

export interface Node {
  readonly name: string;
  /** 1-based; third byte of the pod range. */
  readonly index: number;
  readonly ip: string;
  readonly podCidr: string;
  readonly podCidr6: string;
  readonly gateway: string;
}

export interface Pod extends PodSpec {
  readonly uid: string;
  readonly ip: string;
  readonly ip6: string;
  /** Name of the network namespace. */
  readonly netns: string;
  /** Interface on the node's side. */
  readonly hostInterface: string;
}

export interface Topology {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly services: readonly ServiceSpec[];
}

export const ROOT_IP = "172.30.0.1";
export const FABRIC_INTERFACE = "fabric";
/** Host part of the first pod of a node. */
const FIRST_POD_HOST = 10;
/** Linux refuses longer interface names. */
const INTERFACE_NAME_MAX = 15;

/** The root's end of a node's link. */
export function linkOf(node: string): string {
  return `link-${node}`;
}

function layoutNode(name: string, position: number): Node {
  const index = position + 1;
  return {
    name,
    index,
    ip: `172.30.0.${10 + index}`,
    podCidr: `10.10.${index}.0/24`,
    podCidr6: `fd10:0:0:${index}::/64`,
    gateway: `10.10.${index}.1`,
  };
}

/** A stable UUID-shaped uid, so that objects and proxies can be matched by eye. */
function podUid(node: Node, host: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
  return `00000000-0000-4000-8000-${hex(node.index, 4)}${hex(host, 8)}`;
}

/** Gives every node and pod its addresses; throws RangeError for a topology that cannot exist. */
export function layOut(spec: TopologySpec): Topology {
  const nodes = spec.nodes.map(layoutNode);
  const nextHost = new Map(nodes.map((node) => [node.name, FIRST_POD_HOST]));
  const pods = spec.pods.map((pod): Pod => {
    const node = nodes.find((candidate) => candidate.name === pod.node);
    if (node === undefined) throw new RangeError(`pod "${pod.name}" names no node of the world`);
    const host = nextHost.get(node.name) ?? FIRST_POD_HOST;
    nextHost.set(node.name, host + 1);
    const hostInterface = `p${node.index}-${pod.name}`;
    if (hostInterface.length > INTERFACE_NAME_MAX)
      throw new RangeError(`pod name "${pod.name}" is too long for an interface name`);
    return {
      ...pod,
      uid: podUid(node, host),
      ip: `10.10.${node.index}.${host}`,
      ip6: `fd10:0:0:${node.index}::${host.toString(16)}`,
      netns: pod.name,
      hostInterface,
    };
  });
  const names = [...nodes, ...pods].map(({ name }) => name);
  const twice = names.find((name, position) => names.indexOf(name) !== position);
  if (twice !== undefined) throw new RangeError(`"${twice}" stands twice in the world`);
  return { nodes, pods, services: spec.services };
}

/** The pod of this name; throws RangeError when there is none. */
export function podOf(topology: Topology, name: string): Pod {
  const pod = topology.pods.find((candidate) => candidate.name === name);
  if (pod === undefined) throw new RangeError(`no pod "${name}" in the world`);
  return pod;
}

/** Where connections to a port of a service may go, as kube-proxy would see it. */
export function backendsOf(
  topology: Topology,
  service: ServiceSpec,
  port: ServicePortSpec,
): readonly { readonly ip: string; readonly port: number }[] {
  return topology.pods.flatMap((pod) => {
    if (pod.app !== service.app || pod.namespace !== service.namespace) return [];
    const target =
      typeof port.targetPort === "number" ? port.targetPort : pod.ports[port.targetPort];
    return target === undefined ? [] : [{ ip: pod.ip, port: target }];
  });
}
