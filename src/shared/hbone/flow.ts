/**
 * Joins two ends of a proxied connection and copies both ways until both have finished or one broke. Half-close passes
 * through as half-close, a break as a break.
 */
import { Socket } from "node:net";
import type { MeshError } from "../base/errors.ts";
import { TcpConnection } from "../os/tcp-connection.ts";
import { ConnectionPort } from "./flow/connection-port.ts";
import type { Port, PortClose, PortListener } from "./flow/port.ts";
import { SocketPort } from "./flow/socket-port.ts";
import { frameHeaderBytes } from "./http2/frames.ts";
import { Http2Tunnel } from "./session/http2-tunnel.ts";
import type { Flow, FlowEnd, FlowEndpoint } from "./tunnel.ts";

/** Starts to copy in both directions at once; both ends belong to the flow from here on. */
export function joinFlow(first: FlowEndpoint, second: FlowEndpoint): Flow {
  const flow = new JoinedFlow(portOf(first), portOf(second));
  flow.start();
  return flow;
}

/** What was read from a port before it was joined. */
export interface ReadBefore {
  /** Nine octets at the start are free for a frame header. */
  readonly bytes: Buffer;
  /** The end was read as well. */
  readonly ended: boolean;
}

/** The same for ports; `readBefore` is what somebody read from the first one meanwhile, and goes to the second. */
export function joinPorts(first: Port, second: Port, readBefore: ReadBefore | undefined): Flow {
  const flow = new JoinedFlow(first, second);
  flow.start(readBefore);
  return flow;
}

/** The port of an end; ask once for each end. */
export function portOf(endpoint: FlowEndpoint): Port {
  if (endpoint instanceof TcpConnection) return new ConnectionPort(endpoint);
  if (endpoint instanceof Socket) return new SocketPort(endpoint);
  if (endpoint instanceof Http2Tunnel) return endpoint;
  throw new TypeError("Cannot join: not a socket or a tunnel of ours");
}

const nothingRead: ReadBefore = { bytes: Buffer.alloc(0), ended: false };

type FlowState =
  | { readonly kind: "joined" }
  /** One end has closed; the other is closing. */
  | { readonly kind: "ending"; readonly closed: Port; readonly end: FlowEnd }
  | { readonly kind: "done" };

class JoinedFlow implements Flow, PortListener {
  readonly done: Promise<FlowEnd>;
  readonly #first: Port;
  readonly #second: Port;
  #settle: ((end: FlowEnd) => void) | undefined;
  #state: FlowState = { kind: "joined" };

  constructor(first: Port, second: Port) {
    this.#first = first;
    this.#second = second;
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  start(readBefore?: ReadBefore): void {
    const { bytes, ended } = readBefore ?? nothingRead;
    // Little enough to be held should there be no room yet.
    if (bytes.length > frameHeaderBytes)
      this.#second.take(bytes, frameHeaderBytes, bytes.length, undefined);
    this.#first.attach(this.#second, this);
    if (readBefore !== undefined) this.#first.resume();
    this.#second.attach(this.#first, this);
    if (ended) this.#second.finish();
  }

  get sent(): number {
    return this.#first.givenBytes;
  }

  get received(): number {
    return this.#second.givenBytes;
  }

  abort(error: MeshError): void {
    if (this.#state.kind === "done") return;
    if (this.#state.kind === "joined") {
      // Ends as if the first end had failed by this error; its own close is then only awaited.
      this.portClosed(this.#first, { kind: "failed", error });
      this.#first.abort();
      return;
    }
    // One end has closed already; the other may wait for a reader that never comes.
    const { closed } = this.#state;
    this.#state = { kind: "ending", closed, end: { error } };
    this.#otherThan(closed).abort();
  }

  portClosed(port: Port, close: PortClose): void {
    if (this.#state.kind === "ending" && this.#state.closed !== port) {
      const { end } = this.#state;
      this.#state = { kind: "done" };
      this.#settle?.(end);
      return;
    }
    if (this.#state.kind !== "joined") return;
    const end: FlowEnd = close.kind === "failed" ? { error: close.error } : {};
    this.#state = { kind: "ending", closed: port, end };
    const other = this.#otherThan(port);
    if (close.kind === "clean") other.settle();
    else other.abort();
  }

  #otherThan(port: Port): Port {
    return port === this.#first ? this.#second : this.#first;
  }
}
