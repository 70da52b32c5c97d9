/** Pods as network namespaces on one bridge, for tests that run in a sandbox of their own (import sandbox.ts first). */
import { execFileSync } from "node:child_process";
import { systemClock } from "../../src/shared/base/clock.ts";
import { type IpAddress, ipOf } from "../../src/shared/net/ip.ts";
import type { PodNetwork } from "../../src/shared/os/network.ts";
import { NetworkNamespace } from "../../src/shared/os/network-namespace.ts";
import { podNetwork } from "../../src/shared/os/pod-network.ts";

export interface TestPod {
  readonly path: string;
  readonly v4: IpAddress;
  readonly v6: IpAddress;
  readonly namespace: NetworkNamespace;
  readonly network: PodNetwork;
}

export function sh(command: string): string {
  return execFileSync("sh", ["-c", command], { encoding: "utf8" });
}

export function inPod(pod: TestPod, command: string): string {
  return sh(`nsenter --net=${pod.path} ${command}`);
}

/**
 * A private /run and the bridge. The bridge has an address of its own: one that it takes from its ports changes when a pod
 * is added, and the other pods would go on to send to the old one.
 */
export function layOut(): void {
  sh(`mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip link set lo up
    ip link add br0 address 02:00:00:00:00:01 type bridge && ip addr add 10.1.0.1/24 dev br0
    ip addr add fd00:1::1/64 dev br0 nodad && ip link set br0 up`);
}

/** The n-th pod: 10.1.0.(10+n) and fd00:1::(10+n). */
export function addPod(n: number): TestPod {
  const name = `pod${n}`;
  sh(`ip netns add ${name} && ip link add v${n} type veth peer name eth0 netns ${name}
    ip link set v${n} master br0 up && ip -n ${name} link set lo up
    ip -n ${name} addr add 10.1.0.${10 + n}/24 dev eth0
    ip -n ${name} addr add fd00:1::${10 + n}/64 dev eth0 nodad
    ip -n ${name} link set eth0 up && ip -n ${name} route add default via 10.1.0.1
    ip -n ${name} route add default via fd00:1::1`);
  const path = `/run/netns/${name}`;
  const namespace = NetworkNamespace.open(path);
  return {
    path,
    v4: ipOf(`10.1.0.${10 + n}`),
    v6: ipOf(`fd00:1::${10 + n}`),
    namespace,
    network: podNetwork(namespace, systemClock),
  };
}
