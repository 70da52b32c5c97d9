/**
 * One client's interest in one type, as a state machine without input or output of its own. It remembers names, not
 * contents: what a client must still hear is a set of names, and what it is told about them is the state at the moment of
 * sending. So a slow client costs a bounded set and always gets the newest state.
 */
import type { ResourceLookup } from "./lookup.ts";
import type { PushResource, ResourceTable, TableChange, TypeUrl } from "./types.ts";

export interface SubscriptionRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** What the client still holds from an earlier stream; only read on the first request. */
  readonly initialVersions: Readonly<Record<string, string>>;
}

export interface PendingResponse {
  readonly resources: readonly PushResource[];
  readonly removed: readonly string[];
}

/** The current tables; the lookup is only built for clients that subscribe on demand. */
export interface ResourceView {
  readonly table: ResourceTable;
  readonly lookup: () => ResourceLookup;
}

const WILDCARD = "*";

export class Subscription {
  readonly typeUrl: TypeUrl;
  readonly #node: string;
  #started = false;
  #wildcard = false;
  /** Keys asked for by name, and names that came along with them. */
  readonly #names = new Set<string>();
  readonly #dirty = new Set<string>();
  #mustAnswer = false;

  constructor(typeUrl: TypeUrl, node: string) {
    this.typeUrl = typeUrl;
    this.#node = node;
  }

  get wildcard(): boolean {
    return this.#wildcard;
  }

  get nameCount(): number {
    return this.#names.size;
  }

  /** Names that wait to be sent. */
  get pendingCount(): number {
    return this.#dirty.size;
  }

  get hasWork(): boolean {
    return this.#mustAnswer || this.#dirty.size > 0;
  }

  /** Takes a request's wishes; an acknowledgement has none. */
  request(request: SubscriptionRequest, view: ResourceView): void {
    const first = !this.#started;
    this.#started = true;
    const asked = request.subscribe.filter((name) => name !== WILDCARD);
    const dropped = request.unsubscribe.filter((name) => name !== WILDCARD);
    // On a first request silence means everything; asking for everything and dropping it at once means: on demand.
    const silent = first && request.subscribe.length === 0 && request.unsubscribe.length === 0;
    const wasWildcard = this.#wildcard;
    if (silent || request.subscribe.includes(WILDCARD)) this.#wildcard = true;
    if (request.unsubscribe.includes(WILDCARD)) this.#wildcard = false;
    for (const name of dropped) this.#names.delete(name);
    if (first || (this.#wildcard && !wasWildcard)) this.#start(request, view);
    if (asked.length > 0) this.#demand(asked, request, view);
  }

  /** The snapshot moved on. */
  changed(change: TableChange, view: ResourceView): void {
    if (!this.#started) return;
    if (this.#wildcard) {
      for (const { name } of change.upserted) this.#dirty.add(name);
      for (const { name } of change.removed) this.#dirty.add(name);
      return;
    }
    if (this.#names.size === 0 && this.#node === "") return;
    for (const resource of change.removed) this.#touch(resource);
    for (const resource of change.upserted) {
      this.#touch(resource);
      if (this.#concerns(resource)) this.#include(resource);
    }
    if (this.#dirty.size > 0) this.#includeEndpoints(change, view);
  }

  /** These are sent again to whoever asked for them by name, though they did not change. */
  repeat(names: readonly string[]): void {
    for (const name of names) if (this.#names.has(name)) this.#dirty.add(name);
  }

  /** Takes what is due and forgets that it was. Undefined when there is nothing to say. */
  take(view: ResourceView): PendingResponse | undefined {
    if (!this.hasWork) return undefined;
    const resources = new Map<string, PushResource>();
    const removed: string[] = [];
    for (const name of this.#dirty) {
      const found = this.#wildcard ? own(view.table, name) : view.lookup().find(name);
      for (const resource of found) resources.set(resource.name, resource);
      if (found.length === 0) removed.push(name);
    }
    this.#dirty.clear();
    this.#mustAnswer = false;
    if (!this.#wildcard) for (const name of resources.keys()) this.#names.add(name);
    return { resources: [...resources.values()], removed };
  }

  /** Everything the client should have and does not, and everything it has and should not. Answered even when empty. */
  #start(request: SubscriptionRequest, view: ResourceView): void {
    this.#mustAnswer = true;
    if (this.#wildcard) this.#startWildcard(request.initialVersions, view);
    else this.#startOnDemand(request.initialVersions, view);
  }

  #startWildcard(held: SubscriptionRequest["initialVersions"], view: ResourceView): void {
    for (const [name, { version }] of view.table.byName) {
      if (version === "" || held[name] !== version) this.#dirty.add(name);
    }
    for (const name of Object.keys(held)) {
      if (!view.table.byName.has(name)) this.#dirty.add(name);
    }
  }

  /** The workloads of the client's own node come unasked: it will need them at once. */
  #startOnDemand(held: SubscriptionRequest["initialVersions"], view: ResourceView): void {
    const local = this.#node === "" ? [] : view.lookup().onNode(this.#node);
    for (const resource of local) this.#resume(resource.name, held[resource.name], view);
    for (const [name, version] of Object.entries(held)) this.#resume(name, version, view);
  }

  /** A key from an earlier stream: still of interest, sent again only when it changed. */
  #resume(name: string, version: string | undefined, view: ResourceView): void {
    this.#names.add(name);
    const found = view.table.byName.get(name);
    if (found === undefined || found.version !== version) this.#dirty.add(name);
  }

  /** Demands are answered even for what does not exist: the client waits for the word that it does not. */
  #demand(asked: readonly string[], request: SubscriptionRequest, view: ResourceView): void {
    for (const name of asked) {
      const known = request.initialVersions[name];
      this.#names.add(name);
      if (known === undefined || known === "" || view.table.byName.get(name)?.version !== known)
        this.#dirty.add(name);
    }
    this.#mustAnswer = true;
  }

  #touch(resource: PushResource): void {
    for (const key of [resource.name, ...resource.aliases]) {
      if (this.#names.has(key)) this.#dirty.add(key);
    }
  }

  #concerns(resource: PushResource): boolean {
    return (
      (this.#node !== "" && resource.node === this.#node) ||
      resource.services.some((service) => this.#names.has(service))
    );
  }

  #include(resource: PushResource): void {
    this.#names.add(resource.name);
    this.#dirty.add(resource.name);
  }

  /** A service that was asked for by address becomes known by name, and its endpoints with it. */
  #includeEndpoints(change: TableChange, view: ResourceView): void {
    for (const resource of change.upserted) {
      if (!resource.aliases.some((alias) => this.#names.has(alias))) continue;
      for (const endpoint of view.lookup().endpointsOf(resource)) this.#include(endpoint);
    }
  }
}

function own(table: ResourceTable, name: string): readonly PushResource[] {
  const found = table.byName.get(name);
  return found === undefined ? [] : [found];
}
