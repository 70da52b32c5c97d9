/**
 * The mesh's state on a node: what the control plane said, indexed for the questions that connections ask. A batch takes
 * effect as a whole before anybody is told; the same updates in any order give the same answers. State outlives the
 * connection to the control plane.
 */
import type { IpAddress } from "../net/ip.ts";
import type { MeshChange, MeshUpdate } from "./mesh-update.ts";
import type {
  ApplicablePolicies,
  MeshView,
  RefusedPolicy,
  ServiceEndpoint,
  ServicePreference,
} from "./mesh-view.ts";
import { type Policy, policyKey } from "./policy.ts";
import { PolicyIndex, type PolicyTarget } from "./store-policies.ts";
import { keyOf, ServiceIndex } from "./store-services.ts";
import { WorkloadIndex } from "./store-workloads.ts";
import type { Address, Service, ServiceKey, Workload } from "./workload.ts";

export interface MeshStoreOptions {
  /** Workloads of this node have their identities announced; undefined announces none. */
  readonly localNode?: string | undefined;
}

/** A pod as its node agent describes it. */
export interface PodIdentity {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export class MeshStore implements MeshView {
  readonly #workloads: WorkloadIndex;
  readonly #services = new ServiceIndex();
  readonly #policies = new PolicyIndex();
  readonly #localNode: string | undefined;
  readonly #listeners = new Set<(change: MeshChange) => void>();

  constructor(options: MeshStoreOptions = {}) {
    this.#localNode = options.localNode;
    this.#workloads = new WorkloadIndex(options.localNode);
  }

  /** Applies a batch and tells the listeners once, if anything changed. */
  apply(update: MeshUpdate): void {
    const touched: Touched = {
      workloads: new Set(),
      services: new Set(),
      policies: new Set(),
    };
    for (const address of update.addresses ?? []) this.#upsertAddress(address, touched);
    this.#upsertPolicies(update, touched);
    for (const name of update.removedAddresses ?? []) this.#removeAddress(name, touched);
    for (const key of update.removedPolicies ?? [])
      if (this.#policies.remove(key)) touched.policies.add(key);
    const localIdentities = this.#workloads.local.settle();
    if (touched.workloads.size + touched.services.size + touched.policies.size === 0) return;
    const change: MeshChange = { ...touched, localIdentities };
    for (const listener of [...this.#listeners]) listener(change);
  }

  /** Returns the way to stop listening. */
  subscribe(listener: (change: MeshChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  workloadByUid(uid: string): Workload | undefined {
    return this.#workloads.get(uid);
  }

  workloadByAddress(network: string, ip: IpAddress): Workload | undefined {
    return this.#workloads.byAddress(network, ip);
  }

  workloadByHostname(namespace: string, hostname: string): Workload | undefined {
    return this.#workloads.byHostname(namespace, hostname);
  }

  /** The record of a pod on this node; on any node when the node has no name. */
  localWorkload(pod: PodIdentity): Workload | undefined {
    return this.#workloads
      .byName(pod.namespace, pod.name)
      .find(
        (workload) =>
          workload.serviceAccount === pod.serviceAccount &&
          (this.#localNode === undefined || workload.node === this.#localNode),
      );
  }

  service(key: ServiceKey): Service | undefined {
    return this.#services.get(key);
  }

  serviceByVip(
    network: string,
    ip: IpAddress,
    preference: ServicePreference = {},
  ): Service | undefined {
    return this.#services.byVip(network, ip, preference);
  }

  serviceByHostname(hostname: string, preference: ServicePreference = {}): Service | undefined {
    return this.#services.byHostname(hostname, preference);
  }

  /** Canonical ones first; visibility is not applied. */
  servicesByHostname(hostname: string): readonly Service[] {
    return this.#services.allByHostname(hostname);
  }

  allEndpoints(key: ServiceKey): readonly ServiceEndpoint[] {
    return this.#workloads.endpointList(key);
  }

  endpoint(key: ServiceKey, workloadUid: string): ServiceEndpoint | undefined {
    return this.#workloads.endpoints(key).get(workloadUid);
  }

  policy(key: string): Policy | undefined {
    return this.#policies.get(key);
  }

  policiesFor(workload: PolicyTarget): ApplicablePolicies {
    return this.#policies.policiesFor(workload);
  }

  workloads(): Iterable<Workload> {
    return this.#workloads.values();
  }

  services(): Iterable<Service> {
    return this.#services.values();
  }

  policies(): Iterable<Policy> {
    return this.#policies.values();
  }

  refusedPolicies(): Iterable<RefusedPolicy> {
    return this.#policies.refusedValues();
  }

  /** Keys that workloads name as theirs although no such service is known (yet). */
  stagedServices(): ServiceKey[] {
    return [...this.#workloads.endpointKeys()].filter(
      (key) => this.#services.get(key) === undefined,
    );
  }

  #upsertPolicies(update: MeshUpdate, touched: Touched): void {
    for (const policy of update.policies ?? []) {
      this.#policies.upsert(policy);
      touched.policies.add(policyKey(policy));
    }
    for (const refused of update.refusedPolicies ?? [])
      if (this.#policies.refuse(refused)) touched.policies.add(policyKey(refused));
  }

  #upsertAddress(address: Address, touched: Touched): void {
    if (address.kind === "workload") {
      this.#workloads.upsert(address.workload);
      touched.workloads.add(address.workload.uid);
    } else {
      this.#services.upsert(address.service);
      touched.services.add(keyOf(address.service));
    }
  }

  #removeAddress(name: string, touched: Touched): void {
    if (this.#workloads.remove(name) !== undefined) {
      touched.workloads.add(name);
    } else if (this.#services.remove(name as ServiceKey)) {
      touched.services.add(name as ServiceKey);
    }
  }
}

interface Touched {
  readonly workloads: Set<string>;
  readonly services: Set<ServiceKey>;
  readonly policies: Set<string>;
}
