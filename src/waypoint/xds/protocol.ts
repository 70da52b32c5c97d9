/**
 * The waypoint's side of delta discovery (wire/waypoint.md sections 2.3 and 2.4): clusters first, then the endpoints of those
 * that need them, then listeners; workloads beside them. Every response is answered with an ACK or with a NACK that names each
 * refused resource.
 */
import { describeError } from "../../shared/base/errors.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { DeltaDiscoveryResponse } from "../../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { DeltaProtocol } from "../../shared/xds/delta-connection.ts";
import { answerTo, Subscription } from "../../shared/xds/subscription.ts";
import type { DeltaRequest, XdsNode } from "../../shared/xds/types.ts";
import type { SecretBook } from "../secrets/secret-book.ts";
import type { WorkloadTable } from "../workloads/index.ts";
import type { Problems } from "./catalog.ts";
import { decodeSecret } from "./decode-secret.ts";
import { decodeWorkload } from "./decode-workload.ts";
import { clusterType, endpointsType, listenerType, secretType, workloadType } from "./types.ts";

/** The catalog, as the protocol uses it. */
export interface Resources {
  applyClusters(response: DeltaDiscoveryResponse): Problems;
  applyEndpoints(response: DeltaDiscoveryResponse): Problems;
  applyListeners(response: DeltaDiscoveryResponse): Problems;
  endpointNames(): ReadonlySet<string>;
  secretNames(): ReadonlySet<string>;
  streamStarted(): void;
}

export interface ProtocolDeps {
  readonly node: XdsNode;
  readonly resources: Resources;
  readonly workloads: WorkloadTable;
  readonly secrets: SecretBook;
  /** Workloads are asked for one by one. */
  readonly onDemand: boolean;
  readonly log: Logger;
  /** Counts for /stats. */
  readonly accepted: (typeUrl: string) => void;
  readonly rejected: (typeUrl: string, problems: readonly string[]) => void;
  /** Demanded addresses that are answered. */
  readonly answered: (keys: readonly string[]) => void;
}

export class WaypointProtocol implements DeltaProtocol {
  readonly #deps: ProtocolDeps;
  readonly #clusters = new Subscription(clusterType, "all");
  readonly #endpoints = new Subscription(endpointsType, "named");
  readonly #listeners = new Subscription(listenerType, "all");
  readonly #secrets = new Subscription(secretType, "named");
  readonly #workloads: Subscription;
  /** What the initial synchronization waits for. */
  readonly #awaiting = new Set<string>([clusterType, listenerType, workloadType]);
  /** Resolves when clusters, listeners and workloads were received once. A NACK counts: waiting would not help. */
  readonly synced: Promise<void>;
  #declareSynced: () => void = () => undefined;

  constructor(deps: ProtocolDeps) {
    this.#deps = deps;
    this.#workloads = new Subscription(workloadType, deps.onDemand ? "named" : "all");
    if (deps.onDemand) this.#awaiting.delete(workloadType);
    this.synced = new Promise((resolve) => {
      this.#declareSynced = resolve;
    });
  }

  get awaiting(): readonly string[] {
    return [...this.#awaiting];
  }

  /** Type URLs and how many resources of each are held, for tools. */
  subscriptions(): readonly Subscription[] {
    // One stream answers in the order in which it is asked.
    return [this.#clusters, this.#endpoints, this.#secrets, this.#listeners, this.#workloads];
  }

  initialRequests(): readonly DeltaRequest[] {
    this.#deps.resources.streamStarted();
    const { node } = this.#deps;
    return this.subscriptions()
      .map((subscription) => subscription.initialRequest(node))
      .filter((request) => request !== undefined);
  }

  /** A key `<network>/<ip>`; undefined: asked for before. */
  demand(key: string): DeltaRequest | undefined {
    return this.#workloads.add(key);
  }

  receive(response: DeltaDiscoveryResponse): readonly DeltaRequest[] {
    const problems = this.#apply(response);
    const texts = problems.map(({ name, reason }) => `${name}: ${reason}`);
    this.#subscriptionOf(response.typeUrl)?.remember(
      response,
      new Set(problems.map(({ name }) => name)),
    );
    this.#report(response, texts);
    const answer = answerTo(response, texts);
    this.#awaiting.delete(response.typeUrl);
    if (this.#awaiting.size === 0) this.#declareSynced();
    if (response.typeUrl !== clusterType) return [answer];
    const { resources } = this.#deps;
    return [
      answer,
      this.#endpoints.ask(resources.endpointNames()),
      this.#secrets.ask(resources.secretNames()),
    ].filter((request) => request !== undefined);
  }

  #subscriptionOf(typeUrl: string): Subscription | undefined {
    return this.subscriptions().find((subscription) => subscription.typeUrl === typeUrl);
  }

  /** A type that was not asked for is acknowledged and otherwise ignored, as the node proxy does. */
  #apply(response: DeltaDiscoveryResponse): Problems {
    const { resources } = this.#deps;
    switch (response.typeUrl) {
      case clusterType:
        return resources.applyClusters(response);
      case endpointsType:
        return resources.applyEndpoints(response);
      case listenerType:
        return resources.applyListeners(response);
      case workloadType:
        return this.#applyWorkloads(response);
      case secretType:
        return this.#applySecrets(response);
      default:
        return [];
    }
  }

  #applyWorkloads(response: DeltaDiscoveryResponse): Problems {
    const { workloads, answered } = this.#deps;
    const problems: { name: string; reason: string }[] = [];
    const keys: string[] = [...response.removedResources];
    for (const { name, aliases, resource } of response.resources) {
      keys.push(name, ...aliases);
      try {
        workloads.set({ ...decodeWorkload(resource?.value ?? new Uint8Array()), uid: name });
      } catch (thrown) {
        problems.push({ name, reason: describeError(thrown) });
      }
    }
    for (const name of response.removedResources) workloads.remove(name);
    answered(keys);
    return problems;
  }

  #applySecrets(response: DeltaDiscoveryResponse): Problems {
    const { secrets } = this.#deps;
    const problems: { name: string; reason: string }[] = [];
    for (const { name, resource } of response.resources) {
      try {
        secrets.set(name, decodeSecret(resource?.value ?? new Uint8Array()));
      } catch (thrown) {
        problems.push({ name, reason: describeError(thrown) });
      }
    }
    for (const name of response.removedResources) secrets.remove(name);
    return problems;
  }

  #report({ typeUrl }: DeltaDiscoveryResponse, problems: readonly string[]): void {
    const { log, accepted, rejected } = this.#deps;
    if (problems.length === 0) {
      accepted(typeUrl);
      return;
    }
    rejected(typeUrl, problems);
    for (const problem of problems)
      log.error("xds resource refused", { type_url: typeUrl, error: problem });
  }
}
