/** Under which names clients reach the control plane's TLS port. */
import { networkInterfaces } from "node:os";
import { ipToBytes, parseIp } from "../../shared/net/ip.ts";

export interface ServingNames {
  readonly dns: readonly string[];
  /** Addresses as 4 or 16 bytes. */
  readonly ips: readonly Uint8Array[];
}

const serviceNames = ["istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local"] as const;

/** The service's names, localhost, and the listen address; for a wildcard every address of this machine. */
export function servingNames(
  listenHost: string,
  localAddresses: readonly string[] = machineAddresses(),
): ServingNames {
  const wildcard = listenHost === "0.0.0.0" || listenHost === "::" || listenHost === "";
  const isName = !wildcard && parseIp(listenHost) === undefined;
  const dns = new Set([...serviceNames, "istiod.istio-system", "localhost"]);
  if (isName) dns.add(listenHost);
  const addresses = ["127.0.0.1", "::1", ...(wildcard ? localAddresses : [listenHost])];
  const ips = new Set(addresses.map(parseIp).filter((ip) => ip !== undefined));
  return { dns: [...dns], ips: [...ips].map(ipToBytes) };
}

function machineAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map(({ address }) => address);
}
