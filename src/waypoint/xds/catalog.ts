/**
 * The resources of this waypoint, compiled, and the state made of them. A resource that cannot be compiled is refused by itself:
 * its last good form stays, and the others of the same response take effect.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import { ClusterSchema } from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { DeltaDiscoveryResponse } from "../../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { MainListener } from "../compile/main-listener.ts";
import { at, CompileError, Notes } from "../compile/notes.ts";
import type { AccessLog } from "../telemetry/config.ts";
import type { TerminatePlan } from "../terminate/plan.ts";
import type { Clusters } from "../upstream/upstream.ts";
import { ResourceBook } from "./book.ts";
import type { LiveClusters, ResourceCompilers } from "./compilers.ts";
import type { StateHolder } from "./state.ts";
import { clusterType, endpointsType, listenerType } from "./types.ts";
import { clustersOf, coldClusters } from "./warming.ts";

export interface CatalogDeps<ClusterPlan, EndpointPlan> {
  readonly compilers: ResourceCompilers<ClusterPlan, EndpointPlan>;
  readonly live: LiveClusters<ClusterPlan, EndpointPlan>;
  readonly state: StateHolder;
  readonly clock: Pick<Clock, "after" | "wallMs" | "monotonicMs">;
  readonly log: Logger;
  readonly warmingDeadlineMs: number;
}

/** `name: reason`, as it goes into a NACK. */
export type Problems = readonly { readonly name: string; readonly reason: string }[];

interface HeldCluster<ClusterPlan> {
  readonly plan: ClusterPlan;
  readonly endpointsName: string | undefined;
}

/** Other hops of Envoy between a chain and the wire; here they are one straight path, see wire/waypoint.md section 11.2. */
const hardWired: ReadonlySet<string> = new Set([
  "connect_originate",
  "inner_connect_originate",
  "outer_connect_originate",
]);

export class Catalog<ClusterPlan, EndpointPlan> {
  readonly #deps: CatalogDeps<ClusterPlan, EndpointPlan>;
  readonly books = {
    clusters: new ResourceBook(clusterType),
    endpoints: new ResourceBook(endpointsType),
    listeners: new ResourceBook(listenerType),
  };
  readonly #clusters = new Map<string, HeldCluster<ClusterPlan>>();
  /** Removed, but the listener in force points at them. */
  readonly #leaving = new Map<string, HeldCluster<ClusterPlan>>();
  readonly #endpoints = new Map<string, EndpointPlan>();
  readonly #wayOutLogs = new Map<string, readonly AccessLog[]>();
  #main: MainListener | undefined;
  #terminate: TerminatePlan | undefined;
  /** Clusters named by the newest listener, and by the one in force. */
  #named: ReadonlySet<string> = new Set();
  #namedInForce: ReadonlySet<string> = new Set();
  #deadline: Timer | undefined;
  #deadlinePassed = false;
  /** Clusters whose names are being resolved. */
  readonly #resolving = new Set<string>();
  #closed = false;

  constructor(deps: CatalogDeps<ClusterPlan, EndpointPlan>) {
    this.#deps = deps;
  }

  /** Names under which endpoints have to be asked for. */
  endpointNames(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { endpointsName } of this.#clusters.values())
      if (endpointsName !== undefined) names.add(endpointsName);
    return names;
  }

  /** Names of key material that clusters need. */
  secretNames(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { plan } of this.#clusters.values())
      for (const name of this.#deps.compilers.secretNames(plan)) names.add(name);
    return names;
  }

  /** Clusters that a listener waits for. What the one in force names too was waited for before. */
  cold(): readonly string[] {
    const fresh = [...this.#named].filter((name) => !this.#namedInForce.has(name));
    const unnamed = coldClusters(fresh, this.#clusters, (name) => this.#endpoints.has(name));
    return [...unnamed, ...fresh.filter((name) => this.#isUnresolved(name))];
  }

  applyClusters(response: DeltaDiscoveryResponse): Problems {
    const problems = this.#each(response, this.books.clusters, (bytes, notes) => {
      const message = fromBinary(ClusterSchema, bytes);
      const plan = this.#deps.compilers.cluster(message, notes);
      const endpointsName = this.#deps.compilers.endpointsName(plan);
      this.#leaving.delete(message.name);
      this.#clusters.set(message.name, { plan, endpointsName });
    });
    for (const name of response.removedResources) {
      const cluster = this.#clusters.get(name);
      this.#clusters.delete(name);
      if (cluster !== undefined && this.#namedInForce.has(name)) this.#leaving.set(name, cluster);
    }
    this.#settle();
    return problems;
  }

  applyEndpoints(response: DeltaDiscoveryResponse): Problems {
    const problems = this.#each(response, this.books.endpoints, (bytes, notes) => {
      const message = fromBinary(ClusterLoadAssignmentSchema, bytes);
      const plan = this.#deps.compilers.endpoints(message, notes);
      this.#endpoints.set(message.clusterName, plan);
    });
    for (const name of response.removedResources) this.#dropEndpoints(name);
    this.#settle();
    return problems;
  }

  applyListeners(response: DeltaDiscoveryResponse): Problems {
    const problems = this.#each(response, this.books.listeners, (bytes, notes, name) =>
      this.#listener(name, bytes, notes),
    );
    for (const name of response.removedResources) {
      if (name === "main_internal") this.#main = undefined;
      if (name === "connect_terminate") this.#terminate = undefined;
      this.#wayOutLogs.delete(name);
    }
    this.#named = clustersOf(this.#main?.chains.values() ?? []);
    this.#settle();
    return problems;
  }

  /** A new stream begins. */
  streamStarted(): void {
    for (const book of Object.values(this.books)) book.forgetRefusals();
  }

  close(): void {
    this.#closed = true;
    this.#deadline?.cancel();
  }

  #listener(name: string, bytes: Uint8Array, notes: Notes): void {
    const { compilers } = this.#deps;
    if (name === "main_internal") this.#main = compilers.main(bytes, notes, this.#main);
    else if (name === "connect_terminate") this.#terminate = compilers.terminate(bytes, notes);
    else if (hardWired.has(name)) this.#wayOutLogs.set(name, compilers.wayOut(bytes, notes));
    else throw new CompileError(at("", "name"), `a listener ${name} is not supported`);
  }

  #each(
    { resources, removedResources }: DeltaDiscoveryResponse,
    book: ResourceBook,
    compile: (bytes: Uint8Array, notes: Notes, name: string) => void,
  ): Problems {
    const problems: { name: string; reason: string }[] = [];
    const wallMs = this.#deps.clock.wallMs();
    for (const { name, version, resource } of resources) {
      const bytes = resource?.value ?? new Uint8Array();
      if (book.isHeld(name, bytes)) continue;
      const notes = new Notes();
      try {
        if (resource?.typeUrl !== book.typeUrl)
          throw new CompileError("resource", `is ${resource?.typeUrl}, expected ${book.typeUrl}`);
        compile(bytes, notes, name);
        book.accept(name, { version, wallMs, bytes, decorations: notes.decorations });
      } catch (thrown) {
        const reason = describeError(thrown);
        problems.push({ name, reason });
        book.refuse(name, { version, reason, wallMs, bytes });
      }
    }
    for (const name of removedResources) book.remove(name);
    return problems;
  }

  #dropEndpoints(name: string): void {
    this.#endpoints.delete(name);
    this.books.endpoints.remove(name);
  }

  /** Brings the newest that may be in force into force. */
  #settle(): void {
    const { state } = this.#deps;
    this.#forgetEndpoints();
    // Names are resolved from here on, also of clusters that a listener has to wait for.
    let clusters = this.#update();
    const cold = this.cold();
    const waits = cold.length > 0 && !this.#deadlinePassed;
    const leaving = this.#leaving.size;
    if (!waits) this.#enforce(cold);
    if (this.#leaving.size !== leaving) {
      this.#forgetEndpoints();
      clusters = this.#update();
    }
    const { main, terminate } = waits
      ? state.current
      : { main: this.#main, terminate: this.#terminate };
    // Endpoints in other networks have hops of their own; their failures are told by the request.
    const wayOutLogs = this.#wayOutLogs.get("connect_originate") ?? [];
    state.swap({ main, terminate, clusters, wayOutLogs });
    this.#watchDeadline(waits || this.#leaving.size > 0);
    if (waits) for (const name of cold) this.#settleWhenResolved(name);
  }

  #update(): Clusters {
    const clusters = new Map<string, ClusterPlan>();
    for (const [name, { plan }] of this.#leaving) clusters.set(name, plan);
    for (const [name, { plan }] of this.#clusters) clusters.set(name, plan);
    return this.#deps.live.update(clusters, this.#endpoints);
  }

  /** Of a cluster whose endpoints stand behind a name. */
  #isUnresolved(name: string): boolean {
    const cluster = this.#clusters.get(name);
    if (cluster === undefined || cluster.endpointsName !== undefined) return false;
    return this.#deps.live.isWarm?.(name) === false;
  }

  #settleWhenResolved(name: string): void {
    const { live } = this.#deps;
    if (this.#resolving.has(name) || live.whenWarm === undefined || !this.#isUnresolved(name))
      return;
    this.#resolving.add(name);
    void live.whenWarm([name]).then(() => {
      this.#resolving.delete(name);
      if (!this.#closed) this.#settle();
    });
  }

  /** Endpoints of clusters that are gone: the control plane does not say so of them. */
  #forgetEndpoints(): void {
    const wanted = new Set(this.endpointNames());
    for (const { endpointsName } of this.#leaving.values())
      if (endpointsName !== undefined) wanted.add(endpointsName);
    for (const name of this.#endpoints.keys()) if (!wanted.has(name)) this.#dropEndpoints(name);
  }

  /** The newest listener is in force from now on; clusters that nobody points at any more may go. */
  #enforce(cold: readonly string[]): void {
    if (cold.length > 0)
      this.#deps.log.warn("a listener takes effect without the endpoints of all its clusters", {
        clusters: cold.slice(0, 10).join(","),
        count: cold.length,
      });
    this.#namedInForce = this.#named;
    for (const name of this.#leaving.keys())
      if (!this.#named.has(name) || this.#deadlinePassed) this.#leaving.delete(name);
  }

  /** One deadline from the moment something begins to wait until nothing does. */
  #watchDeadline(waiting: boolean): void {
    if (!waiting) {
      this.#deadline?.cancel();
      this.#deadline = undefined;
      this.#deadlinePassed = false;
      return;
    }
    this.#deadline ??= this.#deps.clock.after(this.#deps.warmingDeadlineMs, () => {
      this.#deadlinePassed = true;
      this.#deadline = undefined;
      this.#settle();
      this.#deadlinePassed = false;
    });
  }
}
