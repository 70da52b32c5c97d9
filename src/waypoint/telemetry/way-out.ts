/**
 * Tunnels that could not be made, for the access log of `connect_originate` (wire/waypoint.md section 7.4). In Envoy that is a
 * hop with a log of its own; here the request or connection that wanted the tunnel tells of its last attempt.
 */
import type { DownstreamInfo } from "../http/stream.ts";
import type { StreamRecord } from "./record.ts";

const HOP = "connect_originate";
const HOST_PREFIX = `envoy://${HOP}/`;
const HBONE_PORT = 15_008;

/** Undefined: no tunnel failed. */
export function failedTunnel(record: StreamRecord): StreamRecord | undefined {
  const { upstream, flags } = record;
  if (upstream?.hostText === undefined || !flags.includes("UF")) return undefined;
  if (!upstream.hostText.startsWith(HOST_PREFIX)) return undefined;
  const destination = addressOf(upstream.address ?? upstream.hostText.slice(HOST_PREFIX.length));
  const { ip } = destination;
  const tunnel = `${ip.includes(":") ? `[${ip}]` : ip}:${HBONE_PORT}`;
  return {
    ...record,
    kind: "tcp",
    chain: HOP,
    downstream: { ...record.downstream, destination },
    bytesReceived: 0,
    bytesSent: 0,
    wireBytesReceived: 0,
    wireBytesSent: 0,
    flags: ["UF", "URX"],
    details: undefined,
    routeName: undefined,
    upstream: {
      ...upstream,
      cluster: HOP,
      statName: undefined,
      address: tunnel,
      hostText: tunnel,
      localAddress: undefined,
    },
    http: undefined,
  };
}

function addressOf(text: string): DownstreamInfo["destination"] {
  const colon = text.lastIndexOf(":");
  const ip = text.slice(0, colon).replace(/^\[|\]$/g, "");
  return { ip, port: Number(text.slice(colon + 1)) };
}
