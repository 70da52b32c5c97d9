/**
 * The delta protocol's bookkeeping for one client, without I/O (wire/ztunnel.md section 1.3): which requests to send, what a
 * response changes, and which names are held. It outlives streams: on a new stream everything held is named again.
 */
import type { MeshUpdate } from "../model/mesh-update.ts";
import type { RefusedPolicy } from "../model/mesh-view.ts";
import { type Policy, policyKey } from "../model/policy.ts";
import type { Address } from "../model/workload.ts";
import type { DeltaDiscoveryResponse } from "../wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { decodeAddress, decodeAuthorization } from "./decode.ts";
import { DecodeError } from "./decode-common.ts";
import { answerTo, Subscription } from "./subscription.ts";
import { addressType, authorizationType, type DeltaRequest, type XdsNode } from "./types.ts";

/** What one response means. */
export interface Received {
  readonly update: MeshUpdate;
  /** The ACK or NACK; to be sent after the update has taken effect. */
  readonly answer: DeltaRequest;
  /** `name: reason` of each refused resource. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** Demanded names that are answered now, with a resource or with its absence. */
  readonly answered: readonly string[];
}

const subscribed = [addressType, authorizationType] as const;

export class DeltaState {
  readonly #onDemand: boolean;
  /** Its names are the keys ever asked for; they stay subscribed, so an absent one may still come. */
  readonly #addresses: Subscription;
  readonly #policies = new Subscription(authorizationType, "all");
  readonly #answered = new Set<string>();
  readonly #awaitingFirst: Set<string>;
  /** Policies that were refused, of which no older version is held; they deny as long as they exist. */
  readonly #refused = new Set<string>();
  /** The next response about policies is the first of its stream: it brings everything we do not hold. */
  #policiesAnew = false;

  constructor(options: { readonly onDemand: boolean }) {
    this.#onDemand = options.onDemand;
    this.#addresses = new Subscription(addressType, options.onDemand ? "named" : "all");
    this.#awaitingFirst = new Set(options.onDemand ? [authorizationType] : subscribed);
  }

  /** Whether each type that is subscribed as a whole has been ACKed once. */
  get synced(): boolean {
    return this.#awaitingFirst.size === 0;
  }

  /** What is still missing, for the log. */
  get awaitingFirst(): readonly string[] {
    return [...this.#awaitingFirst];
  }

  /** The first requests of a new stream. An address subscription by demand starts as a subscription to nothing. */
  initialRequests(node: XdsNode): DeltaRequest[] {
    this.#policiesAnew = true;
    return [this.#initialAddresses(node), this.#policies.initialRequest(node)].filter(
      (request) => request !== undefined,
    );
  }

  /** Notes the demand. Undefined when the key was asked for before: the subscription stands. */
  demand(key: string): DeltaRequest | undefined {
    return this.#addresses.add(key);
  }

  /** Whether there is nothing to wait for: answered before, or everything is subscribed anyway. */
  isAnswered(key: string): boolean {
    return !this.#onDemand || this.#answered.has(key) || this.#addresses.held.has(key);
  }

  receive(response: DeltaDiscoveryResponse): Received {
    const { typeUrl } = response;
    const result = decodeAll(response);
    const refused = new Set(result.problems.map((problem) => problem.name));
    if (typeUrl === addressType) this.#addresses.remember(response, refused);
    else if (typeUrl === authorizationType) this.#policies.remember(response, refused);
    const update = typeUrl === authorizationType ? this.#dropStale(result.update) : result.update;
    const problems = result.problems.map(({ name, reason }) => `${name}: ${reason}`);
    if (problems.length === 0) this.#awaitingFirst.delete(typeUrl);
    return {
      update,
      answer: answerTo(response, problems),
      problems,
      warnings: result.warnings,
      answered: typeUrl === addressType ? this.#settle(response) : [],
    };
  }

  /**
   * A refused policy is not echoed to the control plane, so nobody would tell us that it was deleted while we were away. What a
   * new stream does not bring again is gone.
   */
  #dropStale(update: MeshUpdate): MeshUpdate {
    const refusedNow = (update.refusedPolicies ?? []).map(policyKey);
    const { held } = this.#policies;
    const stale = this.#policiesAnew
      ? [...this.#refused].filter((key) => !refusedNow.includes(key) && !held.has(key))
      : [];
    this.#policiesAnew = false;
    for (const key of refusedNow) if (!held.has(key)) this.#refused.add(key);
    for (const policy of update.policies ?? []) this.#refused.delete(policyKey(policy));
    for (const key of [...(update.removedPolicies ?? []), ...stale]) this.#refused.delete(key);
    return stale.length === 0
      ? update
      : { ...update, removedPolicies: [...(update.removedPolicies ?? []), ...stale] };
  }

  /** Names, and aliases too: a demand by address is answered by a resource that is named after its uid. */
  #settle(response: DeltaDiscoveryResponse): string[] {
    const names = [
      ...response.resources.flatMap((resource) => [resource.name, ...resource.aliases]),
      ...response.removedResources,
    ];
    const answered = names.filter((name) => this.#addresses.names.has(name));
    for (const name of answered) this.#answered.add(name);
    return answered;
  }

  #initialAddresses(node: XdsNode): DeltaRequest {
    const initialVersions = new Map(this.#addresses.held);
    const request = { typeUrl: addressType, node, initialVersions };
    if (!this.#onDemand) return request;
    for (const key of this.#addresses.names)
      if (!initialVersions.has(key)) initialVersions.set(key, "");
    return { ...request, subscribe: ["*"], unsubscribe: ["*"] };
  }
}

interface DecodedResponse {
  readonly update: MeshUpdate;
  readonly problems: readonly { readonly name: string; readonly reason: string }[];
  readonly warnings: readonly string[];
}

const nothing: DecodedResponse = { update: {}, problems: [], warnings: [] };

/** An unknown type is acknowledged and otherwise ignored, as by the reference. */
function decodeAll(response: DeltaDiscoveryResponse): DecodedResponse {
  switch (response.typeUrl) {
    case addressType:
      return decodeAddresses(response);
    case authorizationType:
      return decodePolicies(response);
    default:
      return nothing;
  }
}

function decodeAddresses(response: DeltaDiscoveryResponse): DecodedResponse {
  const addresses: Address[] = [];
  const problems: { name: string; reason: string }[] = [];
  for (const resource of response.resources) {
    try {
      addresses.push(decodeAddress(resource));
    } catch (thrown) {
      if (!(thrown instanceof DecodeError)) throw thrown;
      problems.push({ name: resource.name, reason: thrown.message });
    }
  }
  const update: MeshUpdate = { addresses, removedAddresses: response.removedResources };
  return { update, problems, warnings: [] };
}

function decodePolicies(response: DeltaDiscoveryResponse): DecodedResponse {
  const policies: Policy[] = [];
  const refusedPolicies: RefusedPolicy[] = [];
  const problems: { name: string; reason: string }[] = [];
  const warnings: string[] = [];
  for (const resource of response.resources) {
    const outcome = decodeAuthorization(resource);
    if (outcome.kind === "policy") {
      policies.push(outcome.policy);
      warnings.push(...outcome.warnings.map((warning) => `${resource.name}: ${warning}`));
      continue;
    }
    problems.push({ name: resource.name, reason: outcome.problem });
    if (outcome.refused !== undefined) refusedPolicies.push(outcome.refused);
  }
  const removedPolicies = response.removedResources;
  return { update: { policies, refusedPolicies, removedPolicies }, problems, warnings };
}
