/** Services by key, hostname, exact virtual address and prefix, ranked as wire/ztunnel.md section 1.9 says. */
import { type IpAddress, ipToBytes } from "../net/ip.ts";
import type { ServicePreference } from "./mesh-view.ts";
import { compareText, RankedIndex } from "./store-ranked.ts";
import { networkAddressKey, type Service, type ServiceKey, serviceKey } from "./workload.ts";

export function keyOf(service: Service): ServiceKey {
  return serviceKey(service.namespace, service.hostname);
}

/** Canonical first. The reference then takes the one stored first; a fixed order makes every node agree. */
function compareServices(a: Service, b: Service): number {
  return Number(b.canonical) - Number(a.canonical) || compareText(keyOf(a), keyOf(b));
}

function visible(service: Service, clientNamespace: string | undefined): boolean {
  return (
    service.visibility === "Public" ||
    clientNamespace === undefined ||
    service.namespace === clientNamespace
  );
}

/** Of candidates in static order (canonical first): the client's namespace, canonical, the preferred namespace, the rest. */
function pick(candidates: readonly Service[], preference: ServicePreference): Service | undefined {
  let best: Service | undefined;
  let preferred: Service | undefined;
  for (const service of candidates) {
    if (!visible(service, preference.clientNamespace)) continue;
    if (service.namespace === preference.clientNamespace) return service;
    best ??= service;
    if (service.namespace === preference.preferredNamespace) preferred ??= service;
  }
  return best !== undefined && !best.canonical ? (preferred ?? best) : best;
}

/** Prefixes of one network: by length, then by masked address. Few lengths are in use, so a lookup tries each. */
class PrefixIndex {
  readonly #byLength = new Map<string, Map<string, Service[]>>();

  static #maskedKey(bytes: Uint8Array, prefixLength: number): string {
    let key = "";
    for (let i = 0; i * 8 < prefixLength; i++) {
      const bits = Math.min(8, prefixLength - i * 8);
      key += String.fromCharCode((bytes[i] ?? 0) & (0xff << (8 - bits)) & 0xff);
    }
    return key;
  }

  add(bytes: Uint8Array, prefixLength: number, service: Service): void {
    const lengthKey = `${bytes.length}/${prefixLength}`;
    const level = this.#byLength.get(lengthKey) ?? new Map<string, Service[]>();
    this.#byLength.set(lengthKey, level);
    const key = PrefixIndex.#maskedKey(bytes, prefixLength);
    level.set(key, [...(level.get(key) ?? []), service].sort(compareServices));
  }

  remove(bytes: Uint8Array, prefixLength: number, service: Service): void {
    const lengthKey = `${bytes.length}/${prefixLength}`;
    const level = this.#byLength.get(lengthKey);
    const key = PrefixIndex.#maskedKey(bytes, prefixLength);
    const rest = level?.get(key)?.filter((held) => held !== service) ?? [];
    if (rest.length > 0) level?.set(key, rest);
    else level?.delete(key);
    if (level?.size === 0) this.#byLength.delete(lengthKey);
  }

  get empty(): boolean {
    return this.#byLength.size === 0;
  }

  /** The client's namespace counts more than the length of the prefix, the length more than canonical. */
  find(bytes: Uint8Array, preference: ServicePreference): Service | undefined {
    const limit = bytes.length * 8;
    let best: Service | undefined;
    for (let length = limit; length >= 0; length--) {
      const level = this.#byLength.get(`${bytes.length}/${length}`);
      const held = level?.get(PrefixIndex.#maskedKey(bytes, length));
      if (held === undefined) continue;
      const found = pick(held, preference);
      if (found === undefined) continue;
      if (found.namespace === preference.clientNamespace) return found;
      best ??= found;
    }
    return best;
  }
}

export class ServiceIndex {
  readonly #byKey = new Map<ServiceKey, Service>();
  readonly #byHostname = new RankedIndex<Service>(compareServices);
  readonly #byVip = new RankedIndex<Service>(compareServices);
  readonly #prefixes = new Map<string, PrefixIndex>();

  upsert(service: Service): void {
    const key = keyOf(service);
    this.remove(key);
    this.#byKey.set(key, service);
    this.#byHostname.add(service.hostname.toLowerCase(), service);
    for (const vip of service.vips) this.#byVip.add(networkAddressKey(vip), service);
    for (const { network, cidr } of service.cidrVips) {
      const prefixes = this.#prefixes.get(network) ?? new PrefixIndex();
      this.#prefixes.set(network, prefixes);
      prefixes.add(cidr.bytes, cidr.prefixLength, service);
    }
  }

  /** Whether there was such a service. */
  remove(key: ServiceKey): boolean {
    const service = this.#byKey.get(key);
    if (service === undefined) return false;
    this.#byKey.delete(key);
    this.#byHostname.remove(service.hostname.toLowerCase(), service);
    for (const vip of service.vips) this.#byVip.remove(networkAddressKey(vip), service);
    for (const { network, cidr } of service.cidrVips) {
      const prefixes = this.#prefixes.get(network);
      prefixes?.remove(cidr.bytes, cidr.prefixLength, service);
      if (prefixes?.empty) this.#prefixes.delete(network);
    }
    return true;
  }

  get(key: ServiceKey): Service | undefined {
    return this.#byKey.get(key);
  }

  values(): Iterable<Service> {
    return this.#byKey.values();
  }

  byVip(network: string, ip: IpAddress, preference: ServicePreference): Service | undefined {
    const exact = pick(this.#byVip.all(`${network}/${ip}`), preference);
    return exact ?? this.#prefixes.get(network)?.find(ipToBytes(ip), preference);
  }

  byHostname(hostname: string, preference: ServicePreference): Service | undefined {
    return pick(this.#byHostname.all(hostname.toLowerCase()), preference);
  }

  allByHostname(hostname: string): readonly Service[] {
    return this.#byHostname.all(hostname.toLowerCase());
  }
}
