/** Mesh state → snapshot to push, encoding only what is another reference than last time. */
import { hash } from "node:crypto";
import type { Policy } from "../../shared/model/policy.ts";
import { networkAddressKey } from "../../shared/model/workload.ts";
import { cidrText } from "../../shared/net/cidr.ts";
import { encodeServiceAddress, encodeWorkloadAddress } from "../../shared/xds/encode.ts";
import { encodePolicy } from "../../shared/xds/encode-policy.ts";
import type { PublishedService } from "../translate/service-info.ts";
import type { MeshState } from "../translate/translate.ts";
import type { PublishedWorkload } from "../translate/workload-parts.ts";
import {
  addressType,
  authorizationType,
  type PushResource,
  type PushSnapshot,
  type ResourceTable,
  type SnapshotChange,
  type TableChange,
  workloadType,
} from "./types.ts";

export const emptySnapshot: PushSnapshot = {
  revision: 0,
  tables: {
    [addressType]: { byName: new Map() },
    [workloadType]: { byName: new Map() },
    [authorizationType]: { byName: new Map() },
  },
};

export class SnapshotBuilder {
  readonly #addresses = new EncodingCache<PublishedWorkload | PublishedService>();
  readonly #workloads = new EncodingCache<PushResource>();
  readonly #policies = new EncodingCache<Policy>();
  #snapshot: PushSnapshot = emptySnapshot;

  get snapshot(): PushSnapshot {
    return this.#snapshot;
  }

  next(state: MeshState): { readonly snapshot: PushSnapshot; readonly change: SnapshotChange } {
    const addresses = new Map<string, PushResource>();
    const workloads = new Map<string, PushResource>();
    const policies = new Map<string, PushResource>();
    for (const [name, workload] of state.workloads) {
      const address = this.#addresses.get(name, workload, workloadResource);
      addresses.set(name, address);
      workloads.set(name, this.#workloads.get(name, address, bareWorkload));
    }
    for (const [name, service] of state.services)
      addresses.set(name, this.#addresses.get(name, service, serviceResource));
    for (const [name, policy] of state.policies)
      policies.set(name, this.#policies.get(name, policy, policyResource));
    for (const cache of [this.#addresses, this.#workloads, this.#policies]) cache.endPass();
    const before = this.#snapshot.tables;
    const tables = {
      [addressType]: { byName: addresses },
      [workloadType]: { byName: workloads },
      [authorizationType]: { byName: policies },
    };
    this.#snapshot = { revision: this.#snapshot.revision + 1, tables };
    return {
      snapshot: this.#snapshot,
      change: {
        [addressType]: difference(before[addressType], tables[addressType]),
        [workloadType]: difference(before[workloadType], tables[workloadType]),
        [authorizationType]: difference(before[authorizationType], tables[authorizationType]),
      },
    };
  }
}

interface Encoded<T> {
  readonly source: T;
  readonly resource: PushResource;
}

/** Equal bytes keep the old resource, so that a rebuilt but unchanged object is no change. */
class EncodingCache<T extends object> {
  #previous = new Map<string, Encoded<T>>();
  #current = new Map<string, Encoded<T>>();

  get<S extends T>(
    name: string,
    source: S,
    encode: (name: string, source: S) => PushResource,
  ): PushResource {
    const known = this.#previous.get(name);
    const entry = known?.source === source ? known : encodeAnew(known, name, source, encode);
    this.#current.set(name, entry);
    return entry.resource;
  }

  endPass(): void {
    this.#previous = this.#current;
    this.#current = new Map();
  }
}

function encodeAnew<T, S extends T>(
  known: Encoded<T> | undefined,
  name: string,
  source: S,
  encode: (name: string, source: S) => PushResource,
): Encoded<T> {
  const resource = encode(name, source);
  const same = known !== undefined && Buffer.compare(known.resource.bytes, resource.bytes) === 0;
  return { source, resource: same ? known.resource : resource };
}

function workloadResource(name: string, workload: PublishedWorkload): PushResource {
  const bytes = encodeWorkloadAddress(workload);
  const { network, node } = workload;
  return {
    name,
    version: contentVersion(bytes),
    bytes,
    aliases: workload.addresses.map((ip) => networkAddressKey({ network, ip })),
    services: [...workload.services.keys()],
    node,
  };
}

function serviceResource(name: string, service: PublishedService): PushResource {
  const bytes = encodeServiceAddress(service);
  const aliases = [
    ...service.vips.map(networkAddressKey),
    ...service.cidrVips.map(({ network, cidr }) => `${network}/${cidrText(cidr)}`),
  ];
  return { name, version: contentVersion(bytes), bytes, aliases, services: [], node: "" };
}

function policyResource(name: string, policy: Policy): PushResource {
  return { name, version: "", bytes: encodePolicy(policy), aliases: [], services: [], node: "" };
}

/** The workload inside its Address: what follows the tag and the length of the only field. */
function bareWorkload(_name: string, address: PushResource): PushResource {
  let at = 1;
  while (((address.bytes[at] ?? 0) & 0x80) !== 0) at++;
  return { ...address, bytes: address.bytes.subarray(at + 1) };
}

/** 64 bits are enough to tell the versions of one resource apart. */
export function contentVersion(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex").slice(0, 16);
}

export function difference(before: ResourceTable, after: ResourceTable): TableChange {
  const upserted: PushResource[] = [];
  const removed: PushResource[] = [];
  for (const [name, resource] of after.byName) {
    if (before.byName.get(name) !== resource) upserted.push(resource);
  }
  for (const [name, resource] of before.byName) {
    if (!after.byName.has(name)) removed.push(resource);
  }
  return { upserted, removed };
}
