/** The proxy that a view is made for: what it said about itself, and what the objects say about its pod. */
import type { Labels } from "../../../shared/model/enrollment.ts";
import type { Locality } from "../../../shared/model/workload.ts";
import { familyOf, type IpAddress } from "../../../shared/net/ip.ts";

const XFCC_ANNOTATION = "ambient.istio.io/xfcc-include-client-identity";

export interface IstioVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

export interface WaypointNode {
  readonly namespace: string;
  readonly podName: string;
  readonly ips: readonly IpAddress[];
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly nodeName: string;
  readonly locality: Locality;
  readonly network: string;
  readonly clusterId: string;
  readonly meshId: string;
  /** `--serviceCluster`: the name of spans. */
  readonly serviceCluster: string;
  /** Undefined for one that cannot be read: then the newest is assumed. */
  readonly version: IstioVersion | undefined;
  readonly idleTimeoutMs: number | undefined;
  readonly acceptsHttp10: boolean;
  readonly disableHboneSend: boolean;
}

export function speaksV4({ ips }: WaypointNode): boolean {
  return ips.some((ip) => familyOf(ip) === 4);
}

export function speaksV6({ ips }: WaypointNode): boolean {
  return ips.some((ip) => familyOf(ip) === 6);
}

export function families(node: WaypointNode): { readonly v4: boolean; readonly v6: boolean } {
  return { v4: speaksV4(node), v6: speaksV6(node) };
}

/** Where to listen for everything: IPv4 first when there is IPv4. */
export function wildcardAddresses(node: WaypointNode): readonly string[] {
  const { v4, v6 } = families(node);
  return [...(v4 ? ["0.0.0.0"] : []), ...(v6 ? ["::"] : [])];
}

export function parseVersion(text: string): IstioVersion | undefined {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match === null
    ? undefined
    : { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}

export function isAtLeast(node: WaypointNode, major: number, minor: number, patch = 0): boolean {
  const { version } = node;
  if (version === undefined) return true;
  return (version.major - major || version.minor - minor || version.patch - patch) >= 0;
}

/** Whether the Gateway asked for a client-certificate header made of the tunnel's identity. */
export function forwardsClientIdentity(node: WaypointNode): boolean {
  return node.annotations[XFCC_ANNOTATION]?.toLowerCase() === "true";
}

/** Equal keys receive equal resources: instances of one waypoint on one node of the cluster share their view. */
export function viewKey(node: WaypointNode): string {
  const { locality, podName: _name, ips: _ips, ...rest } = node;
  return JSON.stringify([
    families(node),
    locality,
    sorted(rest.labels),
    sorted(rest.annotations),
    {
      ...rest,
      labels: undefined,
      annotations: undefined,
    },
  ]);
}

function sorted(labels: Labels): readonly (readonly [string, string])[] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}
