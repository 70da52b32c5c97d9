/** The delta discovery service: authenticates streams, keeps their connections, hands every new state to all of them. */
import { type handleBidiStreamingCall, type ServerDuplexStream, status } from "@grpc/grpc-js";
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { grpcMethod, type MountableService } from "../../shared/grpc/methods.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  type Node,
} from "../../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { Authenticate, Caller } from "../ca/caller.ts";
import { type ClientNode, parseClientNode } from "./client-node.ts";
import {
  Connection,
  type ConnectionEvents,
  type SnapshotView,
  type TypeReport,
} from "./connection.ts";
import { ResourceLookup } from "./lookup.ts";
import type { PushMetrics } from "./metrics.ts";
import { emptySnapshot } from "./snapshot.ts";
import type { MeshTypeUrl, PushSnapshot, SnapshotChange, WaypointResources } from "./types.ts";
import type { WaypointViews } from "./waypoint-views.ts";

type Call = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export const deltaResourcesMethod = grpcMethod({
  path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
  input: DeltaDiscoveryRequestSchema,
  output: DeltaDiscoveryResponseSchema,
  requestStream: true,
  responseStream: true,
});

export interface DiscoveryServerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: PushMetrics;
  /** What waypoints are told; undefined while there is no state yet. Made on demand: without waypoints nobody asks. */
  readonly waypoints: WaypointViews;
}

export interface ConnectionReport {
  readonly id: number;
  readonly peer: string;
  readonly node: ClientNode;
  readonly authenticated: boolean;
  readonly connectedForMs: number;
  readonly types: readonly TypeReport[];
}

interface OpenConnection {
  readonly id: number;
  readonly peer: string;
  readonly authenticated: boolean;
  readonly sinceMs: number;
  /** What a waypoint said of itself; undefined for other clients. */
  readonly node: Node | undefined;
  readonly connection: Connection;
  readonly call: Call;
}

export class DiscoveryServer {
  readonly #deps: DiscoveryServerDeps;
  readonly #open = new Map<number, OpenConnection>();
  #view: SnapshotView = viewOf(emptySnapshot);
  #nextId = 1;

  constructor(deps: DiscoveryServerDeps) {
    this.#deps = deps;
  }

  /** With `authenticate` every stream needs a good token; without (the port on loopback) none does. */
  service(authenticate: Authenticate | undefined): MountableService {
    const handler: handleBidiStreamingCall<DeltaDiscoveryRequest, DeltaDiscoveryResponse> = (
      call,
    ) => this.#accept(call, authenticate);
    return {
      definition: { deltaAggregatedResources: deltaResourcesMethod },
      implementation: { deltaAggregatedResources: handler },
    };
  }

  publish(snapshot: PushSnapshot, change: SnapshotChange): void {
    this.#view = viewOf(snapshot);
    this.#deps.waypoints.stateMoved();
    for (const { connection, node } of this.#open.values())
      connection.advance(this.#view, change, this.#resourcesFor(node, connection.own));
  }

  /** A defect in one waypoint's view must not keep the news from everybody else: it keeps what it had. */
  #resourcesFor(
    node: Node | undefined,
    last: WaypointResources | undefined,
  ): WaypointResources | undefined {
    if (node === undefined) return undefined;
    try {
      return this.#deps.waypoints.resourcesFor(node);
    } catch (thrown) {
      this.#deps.log.error("cannot make the resources of a waypoint, it keeps what it has", {
        node: node.id,
        error: describeError(thrown),
      });
      return last;
    }
  }

  reports(): readonly ConnectionReport[] {
    const nowMs = this.#deps.clock.monotonicMs();
    return [...this.#open.values()].map(({ id, peer, authenticated, sinceMs, connection }) => ({
      id,
      peer,
      node: connection.node,
      authenticated,
      connectedForMs: Math.round(nowMs - sinceMs),
      types: connection.report(),
    }));
  }

  /** Ends all streams; clients come back to whoever serves then. */
  close(): void {
    for (const { call } of this.#open.values())
      call.emit("error", { code: status.UNAVAILABLE, details: "transport is closing" });
  }

  /** Nothing is read while the token is checked: requests wait in the stream. */
  #accept(call: Call, authenticate: Authenticate | undefined): void {
    call.on("error", () => undefined);
    if (authenticate === undefined) {
      this.#serve(call, undefined);
      return;
    }
    authenticate(call.metadata).then(
      (caller) => this.#serve(call, caller),
      (thrown: unknown) => {
        this.#deps.log.warn("stream refused", {
          peer: call.getPeer(),
          reason: describeError(thrown),
        });
        call.emit("error", { code: status.UNAUTHENTICATED, details: "authentication failure" });
      },
    );
  }

  #serve(call: Call, caller: Caller | undefined): void {
    let open: OpenConnection | undefined;
    const finish = (): void => {
      if (open !== undefined) this.#remove(open);
      open = undefined;
    };
    call.on("data", (request: DeltaDiscoveryRequest) => {
      open ??= this.#register(call, caller, request);
      open?.connection.receive(request);
    });
    call.on("end", () => {
      finish();
      call.end();
    });
    call.on("cancelled", finish);
    call.on("close", finish);
    call.on("error", finish);
  }

  #register(
    call: Call,
    caller: Caller | undefined,
    request: DeltaDiscoveryRequest,
  ): OpenConnection | undefined {
    const node = parseClientNode(request.node);
    if (typeof node === "string") return this.#refuse(call, status.INVALID_ARGUMENT, node);
    const mismatch = caller === undefined ? undefined : mismatchOf(caller, node);
    if (mismatch !== undefined) return this.#refuse(call, status.PERMISSION_DENIED, mismatch);
    const id = this.#nextId++;
    const peer = call.getPeer();
    const { log, metrics, clock } = this.#deps;
    const events: ConnectionEvents = {
      send: (response, written) => void call.write(response, written),
      pushed: (typeUrl, { resources, removed }) => {
        metrics.pushed(typeUrl);
        log.debug("push", {
          node: node.id,
          type: shortType(typeUrl),
          resources: resources.length,
          removed: removed.length,
        });
      },
      nacked: (typeUrl, message) => {
        metrics.rejected(typeUrl);
        log.warn("client rejected resources", {
          node: node.id,
          type: shortType(typeUrl),
          reason: message,
        });
      },
      ignoredType: (typeUrl) =>
        log.debug("subscription to an unknown type", { node: node.id, type: typeUrl }),
    };
    const waypointNode = node.kind === "waypoint" ? request.node : undefined;
    const own = this.#resourcesFor(waypointNode, undefined);
    // Nothing must not be taken for the word that there is nothing any more.
    if (waypointNode !== undefined && own === undefined)
      return this.#refuse(call, status.UNAVAILABLE, "the resources cannot be made now");
    const connection = new Connection(node, this.#view, events, own);
    const open: OpenConnection = {
      id,
      peer,
      authenticated: caller !== undefined,
      sinceMs: clock.monotonicMs(),
      node: waypointNode,
      connection,
      call,
    };
    this.#open.set(id, open);
    metrics.connected(this.#open.size);
    log.info("client connected", { node: node.id, peer });
    return open;
  }

  #refuse(call: Call, code: status, details: string): undefined {
    this.#deps.log.warn("stream refused", { peer: call.getPeer(), reason: details });
    call.emit("error", { code, details });
    return undefined;
  }

  #remove(open: OpenConnection): void {
    if (!this.#open.delete(open.id)) return;
    this.#deps.metrics.connected(this.#open.size);
    this.#deps.log.info("client disconnected", { node: open.connection.node.id, peer: open.peer });
  }
}

/** What a client says about itself must be what its token says. */
function mismatchOf(caller: Caller, node: ClientNode): string | undefined {
  if (caller.namespace !== node.namespace)
    return `the token is of namespace ${JSON.stringify(caller.namespace)}, the node says ${JSON.stringify(node.namespace)}`;
  if (node.serviceAccount !== "" && caller.serviceAccount !== node.serviceAccount)
    return `the token is of service account ${JSON.stringify(caller.serviceAccount)}, the node says ${JSON.stringify(node.serviceAccount)}`;
  if (caller.node !== undefined && node.nodeName !== "" && caller.node !== node.nodeName)
    return `the token is of node ${JSON.stringify(caller.node)}, the client says ${JSON.stringify(node.nodeName)}`;
  return undefined;
}

function viewOf(snapshot: PushSnapshot): SnapshotView {
  const lookups = new Map<MeshTypeUrl, ResourceLookup>();
  return {
    snapshot,
    lookup: (typeUrl) => {
      const known = lookups.get(typeUrl);
      if (known !== undefined) return known;
      const lookup = new ResourceLookup(snapshot.tables[typeUrl]);
      lookups.set(typeUrl, lookup);
      return lookup;
    },
  };
}

/** `Address` of `type.googleapis.com/istio.workload.Address`. */
export function shortType(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
}
