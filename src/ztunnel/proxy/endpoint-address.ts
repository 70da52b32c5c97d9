/** Where a chosen upstream is reached: one of its addresses, or a name to be looked up (wire/ztunnel.md section 4.3). */
import type { Service } from "../../shared/model/workload.ts";
import { familyOf, type IpAddress, type IpFamily } from "../../shared/net/ip.ts";
import type { Upstream } from "./endpoint.ts";

/** Whether the service may be served at this address. */
export function accepts(service: Service, ip: IpAddress): boolean {
  switch (service.ipFamilies) {
    case "IPv4Only":
      return familyOf(ip) === 4;
    case "IPv6Only":
      return familyOf(ip) === 6;
    case "Automatic":
    case "Dual":
      return true;
  }
}

/** Where an upstream is reached. */
export type AddressChoice =
  | { readonly kind: "ip"; readonly ip: IpAddress }
  | { readonly kind: "hostname"; readonly hostname: string }
  /** Only through a network gateway, or not at all. */
  | { readonly kind: "none" };

/** The original address if it is the workload's own, else the first that the service's families allow, else its name. */
export function chooseAddress(upstream: Upstream, original: IpAddress): AddressChoice {
  const { workload, service } = upstream;
  if (workload.addresses.includes(original)) return { kind: "ip", ip: original };
  const allowed = workload.addresses.filter((ip) => service === undefined || accepts(service, ip));
  const ip = ofFamily(allowed, familyOf(original)) ?? allowed[0];
  if (ip !== undefined) return { kind: "ip", ip };
  return workload.hostname === ""
    ? { kind: "none" }
    : { kind: "hostname", hostname: workload.hostname };
}

function ofFamily(ips: readonly IpAddress[], family: IpFamily): IpAddress | undefined {
  return ips.find((ip) => familyOf(ip) === family);
}

/** A random one of the resolved addresses, of the preferred family if there is one. */
export function pickResolved(
  addresses: readonly IpAddress[],
  family: IpFamily,
  random: () => number,
): IpAddress | undefined {
  const same = addresses.filter((ip) => familyOf(ip) === family);
  const pool = same.length > 0 ? same : addresses;
  return pool[Math.floor(random() * pool.length)];
}
