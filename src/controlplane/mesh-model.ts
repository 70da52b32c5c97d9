/** The living state: objects and redirections in, mesh state and snapshots out, each step once for every change. */
import type { Clock } from "../shared/base/clock.ts";
import { formatSpiffe } from "../shared/identity/spiffe.ts";
import { podServiceAccount } from "../shared/objects/kinds.ts";
import { type ObjectSource, objectsOfKind } from "../shared/objects/source.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import type { KeyStore } from "./keys/key-store.ts";
import { neededKeys } from "./keys/needed.ts";
import { SnapshotBuilder } from "./push/snapshot.ts";
import {
  addressType,
  authorizationType,
  type PushSnapshot,
  type SnapshotChange,
} from "./push/types.ts";
import type { AddressStore } from "./source/address-store.ts";
import type { RedirectedPods } from "./translate/redirection.ts";
import type { MeshSettings } from "./translate/settings.ts";
import { emptyMeshState, type MeshState, Translator } from "./translate/translate.ts";
import { SourceBuilder, type Sources } from "./translate/waypoint/sources.ts";

export interface MeshModelDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly objects: ObjectSource;
  readonly redirected: () => RedirectedPods;
  readonly addresses: AddressStore;
  readonly keys: KeyStore;
  readonly publish: (snapshot: PushSnapshot, change: SnapshotChange) => void;
  /** Duration of one step, for metrics. */
  readonly stepTook: (milliseconds: number) => void;
}

export class MeshModel {
  readonly #deps: MeshModelDeps;
  readonly #settings: MeshSettings;
  readonly #translator: Translator;
  readonly #snapshots = new SnapshotBuilder();
  #state: MeshState = emptyMeshState;
  #identities: ReadonlyMap<string, ReadonlySet<string>> | undefined;
  readonly #sourceBuilder: SourceBuilder;
  #sources: Sources | undefined;

  constructor(deps: MeshModelDeps, settings: MeshSettings) {
    this.#deps = deps;
    this.#settings = settings;
    this.#translator = new Translator(settings);
    this.#sourceBuilder = new SourceBuilder(settings);
  }

  /** The state in the form in which waypoints' views read it; made when the first waypoint asks. */
  get sources(): Sources {
    if (this.#sources === undefined) {
      const parts = this.#translator.last;
      if (parts === undefined) throw new Error("there is no state yet");
      this.#sources = this.#sourceBuilder.build({
        ...parts,
        keySets: this.#deps.keys.current,
      });
    }
    return this.#sources;
  }

  get state(): MeshState {
    return this.#state;
  }

  get snapshot(): PushSnapshot {
    return this.#snapshots.snapshot;
  }

  /** Translates what the sources say now and publishes the difference. */
  update(): void {
    const { clock, log, objects, keys } = this.#deps;
    const startedMs = clock.monotonicMs();
    const current = objects.snapshot;
    keys.want(neededKeys(current.objects.values()));
    this.#state = this.#translator.translate({
      objects: current.objects,
      redirected: this.#deps.redirected(),
      autoAddresses: this.#deps.addresses.addressesFor(objectsOfKind(current, "ServiceEntry")),
    });
    this.#identities = undefined;
    this.#sources = undefined;
    const { snapshot, change } = this.#snapshots.next(this.#state);
    this.#deps.publish(snapshot, change);
    const tookMs = clock.monotonicMs() - startedMs;
    this.#deps.stepTook(tookMs);
    log.info("configuration applied", {
      revision: snapshot.revision,
      objects: current.objects.size,
      workloads: this.#state.workloads.size,
      services: this.#state.services.size,
      policies: this.#state.policies.size,
      changed: change[addressType].upserted.length + change[authorizationType].upserted.length,
      removed: change[addressType].removed.length + change[authorizationType].removed.length,
      problems: current.problems.length,
      took_ms: Math.round(tookMs * 10) / 10,
    });
  }

  /** SPIFFE URIs that pods of a node may run as: by pods, not workloads, since a certificate is needed before an address. */
  identitiesOnNode(node: string): ReadonlySet<string> {
    this.#identities ??= this.#collectIdentities();
    return this.#identities.get(node) ?? new Set();
  }

  #collectIdentities(): ReadonlyMap<string, ReadonlySet<string>> {
    const byNode = new Map<string, Set<string>>();
    const { trustDomain } = this.#settings;
    for (const pod of objectsOfKind(this.#deps.objects.snapshot, "Pod")) {
      const { nodeName } = pod.spec;
      if (nodeName === "" || pod.status.phase === "Succeeded" || pod.status.phase === "Failed")
        continue;
      const identity = formatSpiffe({
        trustDomain,
        namespace: pod.metadata.namespace,
        serviceAccount: podServiceAccount(pod),
      });
      const known = byNode.get(nodeName);
      if (known === undefined) byNode.set(nodeName, new Set([identity]));
      else known.add(identity);
    }
    return byNode;
  }
}
