/** Workloads by uid, address, hostname and name; their places behind services; identities of the local node. */
import { formatSpiffe, type SpiffeIdentity } from "../identity/spiffe.ts";
import type { IpAddress } from "../net/ip.ts";
import type { ServiceEndpoint } from "./mesh-view.ts";
import { compareText, RankedIndex } from "./store-ranked.ts";
import type { PortMap, ServiceKey, Workload } from "./workload.ts";

export function identityOf(workload: Workload): SpiffeIdentity {
  const { trustDomain, namespace, serviceAccount } = workload;
  return { trustDomain, namespace, serviceAccount };
}

/** Who wins an address that is claimed twice: meshed pods, pods, anything meshed, the rest. */
function addressRank(workload: Workload): number {
  const pod = workload.uid.includes("//Pod/");
  const meshed = workload.protocol === "HBONE";
  return pod ? (meshed ? 3 : 2) : meshed ? 1 : 0;
}

/** The reference then takes the one inserted last; a fixed order makes every node agree. */
function compareClaims(a: Workload, b: Workload): number {
  return addressRank(b) - addressRank(a) || compareText(a.uid, b.uid);
}

function nameKey(workload: Pick<Workload, "namespace" | "name">): string {
  return `${workload.namespace}/${workload.name}`;
}

/** How many workloads of the local node use an identity, with the counts from before the running batch. */
class LocalIdentities {
  readonly #counts = new Map<string, number>();
  readonly #touched = new Map<string, { identity: SpiffeIdentity; before: number }>();

  count(workload: Workload, step: 1 | -1): void {
    const identity = identityOf(workload);
    const key = formatSpiffe(identity);
    const before = this.#counts.get(key) ?? 0;
    if (!this.#touched.has(key)) this.#touched.set(key, { identity, before });
    if (before + step === 0) this.#counts.delete(key);
    else this.#counts.set(key, before + step);
  }

  /** What the batch changed in sum; starts the next batch. */
  settle(): { appeared: SpiffeIdentity[]; vanished: SpiffeIdentity[] } {
    const appeared: SpiffeIdentity[] = [];
    const vanished: SpiffeIdentity[] = [];
    for (const [key, { identity, before }] of this.#touched) {
      const now = this.#counts.get(key) ?? 0;
      if (before === 0 && now > 0) appeared.push(identity);
      if (before > 0 && now === 0) vanished.push(identity);
    }
    this.#touched.clear();
    return { appeared, vanished };
  }
}

const noEndpoints: ReadonlyMap<string, ServiceEndpoint> = new Map();

export class WorkloadIndex {
  readonly #byUid = new Map<string, Workload>();
  readonly #byAddress = new RankedIndex<Workload>(compareClaims);
  readonly #byHostname = new RankedIndex<Workload>(compareClaims);
  readonly #byName = new RankedIndex<Workload>(compareClaims);
  /** Kept even while the service itself is unknown: workload and service may arrive in any order. */
  readonly #endpoints = new Map<ServiceKey, Map<string, ServiceEndpoint>>();
  /** The same as arrays, made when somebody asks. */
  readonly #endpointLists = new Map<ServiceKey, readonly ServiceEndpoint[]>();
  readonly #localNode: string | undefined;
  readonly local = new LocalIdentities();

  constructor(localNode: string | undefined) {
    this.#localNode = localNode;
  }

  upsert(workload: Workload): void {
    this.remove(workload.uid);
    this.#byUid.set(workload.uid, workload);
    this.#byName.add(nameKey(workload), workload);
    if (workload.hostname !== "")
      this.#byHostname.add(this.#hostnameKey(workload.namespace, workload.hostname), workload);
    for (const key of this.#addressKeys(workload)) this.#byAddress.add(key, workload);
    for (const [key, ports] of workload.services) this.#attach(key, workload, ports);
    if (this.#needsLocalCertificate(workload)) this.local.count(workload, 1);
  }

  remove(uid: string): Workload | undefined {
    const workload = this.#byUid.get(uid);
    if (workload === undefined) return undefined;
    this.#byUid.delete(uid);
    this.#byName.remove(nameKey(workload), workload);
    if (workload.hostname !== "")
      this.#byHostname.remove(this.#hostnameKey(workload.namespace, workload.hostname), workload);
    for (const key of this.#addressKeys(workload)) this.#byAddress.remove(key, workload);
    for (const key of workload.services.keys()) this.#detach(key, uid);
    if (this.#needsLocalCertificate(workload)) this.local.count(workload, -1);
    return workload;
  }

  get(uid: string): Workload | undefined {
    return this.#byUid.get(uid);
  }

  values(): Iterable<Workload> {
    return this.#byUid.values();
  }

  get size(): number {
    return this.#byUid.size;
  }

  byAddress(network: string, ip: IpAddress): Workload | undefined {
    return this.#byAddress.best(`${network}/${ip}`);
  }

  byHostname(namespace: string, hostname: string): Workload | undefined {
    return this.#byHostname.best(this.#hostnameKey(namespace, hostname));
  }

  byName(namespace: string, name: string): readonly Workload[] {
    return this.#byName.all(`${namespace}/${name}`);
  }

  endpoints(key: ServiceKey): ReadonlyMap<string, ServiceEndpoint> {
    return this.#endpoints.get(key) ?? noEndpoints;
  }

  endpointList(key: ServiceKey): readonly ServiceEndpoint[] {
    const known = this.#endpointLists.get(key);
    if (known !== undefined) return known;
    const list = [...this.endpoints(key).values()];
    if (list.length > 0) this.#endpointLists.set(key, list);
    return list;
  }

  endpointKeys(): Iterable<ServiceKey> {
    return this.#endpoints.keys();
  }

  #attach(key: ServiceKey, workload: Workload, ports: PortMap): void {
    const held = this.#endpoints.get(key) ?? new Map<string, ServiceEndpoint>();
    this.#endpoints.set(key, held);
    held.set(workload.uid, { workload, ports });
    this.#endpointLists.delete(key);
  }

  #detach(key: ServiceKey, uid: string): void {
    const held = this.#endpoints.get(key);
    held?.delete(uid);
    this.#endpointLists.delete(key);
    if (held?.size === 0) this.#endpoints.delete(key);
  }

  #hostnameKey(namespace: string, hostname: string): string {
    return `${namespace}/${hostname.toLowerCase()}`;
  }

  /** Host-network workloads share their node's address, which therefore names nobody. */
  #addressKeys(workload: Workload): ReadonlySet<string> {
    if (workload.networkMode === "HostNetwork") return new Set();
    return new Set(workload.addresses.map((ip) => `${workload.network}/${ip}`));
  }

  #needsLocalCertificate(workload: Workload): boolean {
    return (
      this.#localNode !== undefined &&
      workload.node === this.#localNode &&
      (workload.protocol === "HBONE" || workload.nativeTunnel)
    );
  }
}
