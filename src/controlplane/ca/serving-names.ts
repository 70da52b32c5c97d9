/** Under which names clients reach the control plane's TLS port. */
import { hostname, networkInterfaces } from "node:os";
import { ipToBytes, parseIp } from "../../shared/net/ip.ts";

export interface ServingNames {
  readonly dns: readonly string[];
  /** Addresses as 4 or 16 bytes. */
  readonly ips: readonly Uint8Array[];
}

/** What can stand in a certificate (RFC 1123 section 2.1); a machine may be called anything. */
const hostName =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;

const serviceNames = ["istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local"] as const;

/** The service's names, localhost, and the listen address; for a wildcard every address and the name of this machine. */
export function servingNames(
  listenHost: string,
  localAddresses: readonly string[] = machineAddresses(),
  machineName: string = hostname(),
): ServingNames {
  const wildcard = listenHost === "0.0.0.0" || listenHost === "::" || listenHost === "";
  const isName = !wildcard && parseIp(listenHost) === undefined;
  const dns = new Set([...serviceNames, "istiod.istio-system", "localhost"]);
  if (isName) dns.add(listenHost);
  if (wildcard && hostName.test(machineName)) dns.add(machineName.toLowerCase());
  const addresses = ["127.0.0.1", "::1", ...(wildcard ? localAddresses : [listenHost])];
  const ips = new Set(addresses.map(parseIp).filter((ip) => ip !== undefined));
  return { dns: [...dns], ips: [...ips].map(ipToBytes) };
}

function machineAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map(({ address }) => address);
}
