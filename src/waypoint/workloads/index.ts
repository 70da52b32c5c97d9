/**
 * Who stands behind an address: the workloads of the mesh, cut down to what telemetry prints (wire/waypoint.md section 7.3). A
 * mesh may have many thousands, so texts that repeat are shared and nothing else is kept.
 */
import type { PeerWorkload } from "../telemetry/record.ts";

/** A workload as the wire names it. */
export interface IndexedWorkload {
  readonly uid: string;
  readonly network: string;
  /** Canonical text. */
  readonly addresses: readonly string[];
  /** Shares the addresses of its node, which belong to other pods too. */
  readonly hostNetwork: boolean;
  readonly peer: PeerWorkload;
}

export interface WorkloadIndex {
  byAddress(ip: string): PeerWorkload | undefined;
}

const MAX_TEXTS = 20_000;

export class WorkloadTable implements WorkloadIndex {
  /** Ours; where two networks use one address, the workload of this one is meant. */
  readonly #network: string;
  readonly #byUid = new Map<string, IndexedWorkload>();
  /** Almost always one; several for pods on the network of their host. */
  readonly #byAddress = new Map<string, readonly IndexedWorkload[]>();
  readonly #texts = new Map<string, string>();

  constructor(network: string) {
    this.#network = network;
  }

  get size(): number {
    return this.#byUid.size;
  }

  byAddress(ip: string): PeerWorkload | undefined {
    return this.#byAddress.get(ip)?.[0]?.peer;
  }

  all(): IterableIterator<IndexedWorkload> {
    return this.#byUid.values();
  }

  set(workload: IndexedWorkload): void {
    this.remove(workload.uid);
    const kept = {
      ...workload,
      network: this.#share(workload.network),
      peer: this.#slim(workload),
    };
    this.#byUid.set(workload.uid, kept);
    for (const ip of workload.addresses) {
      const there = this.#byAddress.get(ip) ?? [];
      this.#byAddress.set(
        ip,
        [...there, kept].sort((a, b) => this.#rank(a) - this.#rank(b)),
      );
    }
  }

  remove(uid: string): void {
    const workload = this.#byUid.get(uid);
    if (workload === undefined) return;
    this.#byUid.delete(uid);
    for (const ip of workload.addresses) {
      const left = this.#byAddress.get(ip)?.filter((other) => other.uid !== uid) ?? [];
      if (left.length === 0) this.#byAddress.delete(ip);
      else this.#byAddress.set(ip, left);
    }
  }

  /** Own network first, then whoever has the address alone. */
  #rank({ network, hostNetwork }: IndexedWorkload): number {
    return (network === this.#network ? 0 : 2) + (hostNetwork ? 1 : 0);
  }

  #slim({ peer }: IndexedWorkload): PeerWorkload {
    return {
      workload: this.#share(peer.workload),
      namespace: this.#share(peer.namespace),
      cluster: this.#share(peer.cluster),
      canonicalService: this.#share(peer.canonicalService),
      canonicalRevision: this.#share(peer.canonicalRevision),
      type: this.#share(peer.type),
      name: peer.name,
      trustDomain: this.#share(peer.trustDomain),
      serviceAccount: this.#share(peer.serviceAccount),
      region: this.#share(peer.region),
      zone: this.#share(peer.zone),
    };
  }

  #share(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    // Names come and go; starting over now and then costs less than counting who still uses which.
    if (this.#texts.size > MAX_TEXTS) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }
}
