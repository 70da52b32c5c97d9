/**
 * The open connections of one pod: what each of them is, how to cut it, and, for those that came in, the facts they were
 * let in by, so that they can be judged again when policy changes.
 */
import type { ConnectionFacts } from "../../shared/authz/decision.ts";
import type { MeshError } from "../../shared/base/errors.ts";
import { Roster, type RosterMember } from "../../shared/base/roster.ts";
import type { Flow } from "../../shared/hbone/tunnel.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { Direction } from "../telemetry/access-log.ts";

/** What the config dump tells about a connection. */
export interface ConnectionDetails {
  readonly source: SocketAddress;
  /** Outbound: where the application wanted to go. Inbound: the service that the client addressed, if it says. */
  readonly originalDestination: SocketAddress | string | undefined;
  readonly actualDestination: SocketAddress;
  readonly protocol: "TCP" | "HBONE" | "DOUBLEHBONE";
}

type Phase =
  | { readonly kind: "connecting"; readonly controller: AbortController }
  | { readonly kind: "open"; readonly flow: Flow }
  | { readonly kind: "cut"; readonly error: MeshError }
  | { readonly kind: "over" };

export class TrackedConnection implements RosterMember {
  rosterPlace = -1;
  readonly direction: Direction;
  /** Undefined until the destination is decided. */
  details: ConnectionDetails | undefined;
  /** What policy judged; undefined for outbound connections and before the judgement. */
  admitted: ConnectionFacts | undefined;
  /** The policy that ended it, for the access log. */
  cutBy: string | undefined;
  readonly #registry: ConnectionRegistry;
  readonly #signal: AbortSignal;
  #phase: Phase;

  constructor(registry: ConnectionRegistry, direction: Direction) {
    this.#registry = registry;
    this.direction = direction;
    const controller = new AbortController();
    this.#signal = controller.signal;
    this.#phase = { kind: "connecting", controller };
  }

  /** Aborts with a MeshError when the connection is cut before its flow runs. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** The connection has become a flow; from now on cutting means to abort that. */
  opened(flow: Flow): void {
    if (this.#phase.kind === "connecting") this.#phase = { kind: "open", flow };
    else if (this.#phase.kind === "cut") flow.abort(this.#phase.error);
  }

  /** Ends the connection with this error, whatever state it is in. */
  cut(error: MeshError): void {
    const phase = this.#phase;
    if (phase.kind === "connecting") {
      this.#phase = { kind: "cut", error };
      phase.controller.abort(error);
    } else if (phase.kind === "open") {
      phase.flow.abort(error);
    }
  }

  /** Nothing of the connection is left. Idempotent. */
  over(): void {
    if (this.#phase.kind === "over") return;
    this.#phase = { kind: "over" };
    this.#registry.remove(this);
  }
}

export class ConnectionRegistry {
  readonly #connections = new Roster<TrackedConnection>();
  readonly #onEmpty: (() => void)[] = [];
  #closedWith: MeshError | undefined;

  get size(): number {
    return this.#connections.size;
  }

  add(direction: Direction): TrackedConnection {
    const connection = new TrackedConnection(this, direction);
    this.#connections.add(connection);
    // Accepted in the moment in which the proxy stopped: it may not get anywhere.
    if (this.#closedWith !== undefined) connection.cut(this.#closedWith);
    return connection;
  }

  /** Called by the connection itself. */
  remove(connection: TrackedConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  [Symbol.iterator](): Iterator<TrackedConnection> {
    return this.#connections.toArray().values();
  }

  /** Resolves as soon as there is no connection. */
  whenEmpty(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty.push(resolve);
    });
  }

  /** Cuts all connections, and every further one as soon as it is added. */
  close(error: MeshError): void {
    this.#closedWith = error;
    for (const connection of this.#connections.toArray()) connection.cut(error);
  }
}
