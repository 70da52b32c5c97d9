/**
 * Addresses for ServiceEntry hosts that have none, so that a client that resolves the name through the node proxy's DNS is
 * recognized by where it connects to. Once given, an address stays with its host; that is why the assignments are input and
 * output here and are kept by the caller.
 */
import { ipFromBytes, parseIp } from "../../shared/net/ip.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { byAge } from "./objects.ts";
import { type AutoAddresses, autoAddressKey, hostsToAddress } from "./service-entries.ts";

/** Reserved class E space, routed nowhere; and the benchmarking prefix of RFC 5180. The first address of each is left out. */
const V4_PREFIX = [240, 240];
const V6_PREFIX = [0x20, 0x01, 0x00, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const FIRST = 2;
const LAST = 0xfffe;

/** In the order in which the hosts came up. The same reference when nothing new was needed. */
export function allocateAddresses(
  entries: readonly ObjectOf<"ServiceEntry">[],
  known: AutoAddresses,
): AutoAddresses {
  const missing = [...entries].sort(byAge).flatMap((entry) =>
    hostsToAddress(entry)
      .filter((host) => !known.has(autoAddressKey(entry, host)) && !hasWrittenAddress(entry, host))
      .map((host) => autoAddressKey(entry, host)),
  );
  if (missing.length === 0) return known;
  const used = new Set([...known.values()].flat());
  for (const entry of entries) {
    for (const text of [
      ...entry.spec.addresses,
      ...(entry.status?.addresses ?? []).map(({ value = "" }) => value),
    ])
      used.add(parseIp(text) ?? text);
  }
  const all = new Map(known);
  let next = FIRST;
  for (const key of new Set(missing)) {
    while (next <= LAST && addressesAt(next).some((address) => used.has(address))) next++;
    if (next > LAST) break;
    all.set(key, addressesAt(next));
    next++;
  }
  return all;
}

function addressesAt(index: number): readonly string[] {
  const low = [index >> 8, index & 0xff];
  return [
    ipFromBytes(Uint8Array.from([...V4_PREFIX, ...low])) ?? "",
    ipFromBytes(Uint8Array.from([...V6_PREFIX, ...low])) ?? "",
  ];
}

function hasWrittenAddress(entry: ObjectOf<"ServiceEntry">, host: string): boolean {
  return (entry.status?.addresses ?? []).some((address) => address.host === host);
}
