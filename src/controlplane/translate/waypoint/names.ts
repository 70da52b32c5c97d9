/** Names of clusters, listeners and filters, which tools and policies of the reference know by heart. */

export const CONNECT_TERMINATE = "connect_terminate";
export const MAIN_INTERNAL = "main_internal";
export const CONNECT_ORIGINATE = "connect_originate";
export const ENCAP = "encap";
export const INNER_CONNECT_ORIGINATE = "inner_connect_originate";
export const OUTER_CONNECT_ORIGINATE = "outer_connect_originate";
export const UNKNOWN_SERVICE = "UnknownService";

export const HBONE_PORT = 15008;
export const ORIGINAL_DST_METADATA = "envoy.filters.listener.original_dst";
export const SERVER_NAME = "istio-envoy";

export type Direction = "inbound-vip" | "outbound";

export function clusterName(
  direction: Direction,
  port: number,
  subset: string,
  hostname: string,
): string {
  return `${direction}|${port}|${subset}|${hostname}`;
}

export interface ParsedClusterName {
  readonly direction: string;
  readonly hostname: string;
  readonly port: number;
  readonly subset: string;
}

/** `undefined` for names that are not made of four parts. */
export function parseClusterName(name: string): ParsedClusterName | undefined {
  const parts = name.split("|");
  const [direction = "", port = "", subset = "", hostname = ""] = parts;
  return parts.length === 4 ? { direction, hostname, port: Number(port), subset } : undefined;
}

/** A stat name ends with the sign that tells it from what is appended to it. */
export function statName(name: string): string {
  return `${name};`;
}
