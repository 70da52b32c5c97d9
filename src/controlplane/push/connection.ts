/**
 * One client's stream. Requests go to the subscription of their type; responses are made when the stream can take one, so
 * that at most one waits in memory and it is made of the newest state.
 */
import { create } from "@bufbuild/protobuf";
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { ClientNode } from "./client-node.ts";
import { ResourceLookup } from "./lookup.ts";
import { difference } from "./snapshot.ts";
import { type PendingResponse, type ResourceView, Subscription } from "./subscription.ts";
import {
  clusterType,
  endpointType,
  isKnownType,
  isWaypointType,
  type MeshTypeUrl,
  type PushSnapshot,
  pushOrder,
  type SnapshotChange,
  type TableChange,
  type TypeUrl,
  type WaypointResources,
  type WaypointTypeUrl,
} from "./types.ts";

export interface SnapshotView {
  readonly snapshot: PushSnapshot;
  readonly lookup: (typeUrl: MeshTypeUrl) => ResourceLookup;
}

export interface ConnectionEvents {
  /** Hands a message to the stream; `written` is called once it can take the next one. */
  send(response: DeltaDiscoveryResponse, written: () => void): void;
  pushed(typeUrl: TypeUrl, response: PendingResponse): void;
  nacked(typeUrl: TypeUrl, message: string): void;
  ignoredType(typeUrl: string): void;
}

interface TypeState {
  readonly subscription: Subscription;
  lastNonce: string;
  ackedNonce: string;
  pushes: number;
  resourcesSent: number;
  nacks: number;
  lastNack: { readonly nonce: string; readonly message: string } | undefined;
}

/** For `/debug/connections`. */
export interface TypeReport {
  readonly typeUrl: string;
  readonly subscribed: "wildcard" | number;
  readonly pushes: number;
  readonly resourcesSent: number;
  readonly lastNonce: string;
  readonly ackedNonce: string;
  /** The newest response is acknowledged. */
  readonly synced: boolean;
  readonly waitingNames: number;
  readonly nacks: number;
  readonly lastNack?: { readonly nonce: string; readonly message: string };
}

export class Connection {
  readonly node: ClientNode;
  readonly #events: ConnectionEvents;
  readonly #types = new Map<TypeUrl, TypeState>();
  #view: SnapshotView;
  /** Of a waypoint; undefined for other clients, for which the types of waypoints are empty. */
  #own: WaypointResources | undefined;
  #writing = false;
  #nonce = 0;

  constructor(
    node: ClientNode,
    view: SnapshotView,
    events: ConnectionEvents,
    own?: WaypointResources,
  ) {
    this.node = node;
    this.#view = view;
    this.#events = events;
    this.#own = own;
  }

  receive(request: DeltaDiscoveryRequest): void {
    const { typeUrl } = request;
    if (!isKnownType(typeUrl)) {
      this.#events.ignoredType(typeUrl);
      return;
    }
    const state = this.#stateOf(typeUrl);
    this.#acknowledge(typeUrl, state, request);
    const { resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe } = request;
    const isAnswer =
      request.responseNonce !== "" && subscribe.length === 0 && unsubscribe.length === 0;
    // A first request may carry a nonce of an earlier stream; it is a first request all the same.
    if (!isAnswer || state.pushes === 0) {
      const held = request.initialResourceVersions;
      // Clusters may have changed while the client was away, and then it warms them with endpoints that did not.
      const initialVersions = typeUrl === endpointType ? withoutVersions(held) : held;
      state.subscription.request(
        { subscribe, unsubscribe, initialVersions },
        this.#viewOf(typeUrl),
      );
    }
    this.#pump();
  }

  /** What a waypoint was told of at last. */
  get own(): WaypointResources | undefined {
    return this.#own;
  }

  /** The state moved on. */
  advance(view: SnapshotView, change: SnapshotChange, own?: WaypointResources): void {
    const before = this.#own;
    this.#view = view;
    this.#own = own;
    for (const [typeUrl, { subscription }] of this.#types) {
      const changed = isWaypointType(typeUrl) ? ownChange(typeUrl, before, own) : change[typeUrl];
      if (changed !== undefined) subscription.changed(changed, this.#viewOf(typeUrl));
    }
    this.#pump();
  }

  report(): readonly TypeReport[] {
    return [...this.#types].map(([typeUrl, state]) => ({
      typeUrl,
      subscribed: state.subscription.wildcard ? "wildcard" : state.subscription.nameCount,
      pushes: state.pushes,
      resourcesSent: state.resourcesSent,
      lastNonce: state.lastNonce,
      ackedNonce: state.ackedNonce,
      synced: state.lastNonce === state.ackedNonce && !state.subscription.hasWork,
      waitingNames: state.subscription.pendingCount,
      nacks: state.nacks,
      ...(state.lastNack === undefined ? {} : { lastNack: state.lastNack }),
    }));
  }

  /** An answer to an older response than the last one says nothing about the present. */
  #acknowledge(typeUrl: TypeUrl, state: TypeState, request: DeltaDiscoveryRequest): void {
    const { responseNonce: nonce, errorDetail } = request;
    if (errorDetail !== undefined) {
      state.nacks++;
      state.lastNack = { nonce, message: errorDetail.message };
      this.#events.nacked(typeUrl, errorDetail.message);
      return;
    }
    if (nonce !== "" && nonce === state.lastNonce) state.ackedNonce = nonce;
  }

  #pump(): void {
    for (const typeUrl of pushOrder) {
      const state = this.#types.get(typeUrl);
      if (state === undefined) continue;
      if (this.#writing) return;
      const response = state.subscription.take(this.#viewOf(typeUrl));
      if (response !== undefined) this.#send(typeUrl, state, response);
    }
  }

  #send(typeUrl: TypeUrl, state: TypeState, response: PendingResponse): void {
    this.#writing = true;
    this.#nonce++;
    state.lastNonce = `${this.#view.snapshot.revision}-${this.#nonce}`;
    state.pushes++;
    state.resourcesSent += response.resources.length;
    this.#events.pushed(typeUrl, response);
    if (typeUrl === clusterType) this.#repeatEndpoints(response);
    const message = create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      nonce: state.lastNonce,
      systemVersionInfo: String(this.#view.snapshot.revision),
      resources: response.resources.map(({ name, version, bytes, aliases }) => ({
        name,
        version,
        resource: { typeUrl, value: bytes },
        // Only those who ask by address can use them; for everybody else they are a third of the bytes.
        aliases: state.subscription.wildcard ? [] : [...aliases],
      })),
      removedResources: [...response.removed],
    });
    this.#events.send(message, () => {
      this.#writing = false;
      this.#pump();
    });
  }

  /** A cluster that was sent is warmed anew by its client, which waits for its endpoints even if they are the same. */
  #repeatEndpoints({ resources }: PendingResponse): void {
    const names = resources.map(({ name }) => name);
    this.#types.get(endpointType)?.subscription.repeat(names);
  }

  #stateOf(typeUrl: TypeUrl): TypeState {
    const known = this.#types.get(typeUrl);
    if (known !== undefined) return known;
    const subscription = new Subscription(typeUrl, this.node.nodeName);
    const state: TypeState = {
      subscription,
      lastNonce: "",
      ackedNonce: "",
      pushes: 0,
      resourcesSent: 0,
      nacks: 0,
      lastNack: undefined,
    };
    this.#types.set(typeUrl, state);
    return state;
  }

  #viewOf(typeUrl: TypeUrl): ResourceView {
    if (isWaypointType(typeUrl)) {
      const table = this.#own?.tables[typeUrl] ?? { byName: new Map() };
      return { table, lookup: () => new ResourceLookup(table) };
    }
    const { snapshot, lookup } = this.#view;
    return { table: snapshot.tables[typeUrl], lookup: () => lookup(typeUrl) };
  }
}

function withoutVersions(held: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(held).map((name) => [name, ""]));
}

/** Shared with its like, unless this client was told something else before: then what it is may have changed. */
function ownChange(
  typeUrl: WaypointTypeUrl,
  before: WaypointResources | undefined,
  now: WaypointResources | undefined,
): TableChange | undefined {
  if (now === undefined || now === before) return undefined;
  const held = before?.tables;
  if (held === now.before) return now.change[typeUrl];
  return difference(held?.[typeUrl] ?? { byName: new Map() }, now.tables[typeUrl]);
}
