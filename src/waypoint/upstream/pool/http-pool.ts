/**
 * Connections to one endpoint in one protocol, and the requests that wait for them. As many are opened as requests wait, as
 * far as the circuit breakers of the cluster allow; the one that was used last is used next, so that the others can go.
 */
import type { Clock } from "../../../shared/base/clock.ts";
import type { RequestHead } from "../../http/message.ts";
import type { BodyWriter } from "../../http/stream.ts";
import type { UpstreamHttp } from "../../model/cluster.ts";
import type { Dialed } from "../dial/dial.ts";
import { asUpstreamError } from "../dial/failure.ts";
import type { Breakers } from "../health/breakers.ts";
import type { UpstreamFailure, UpstreamReceiver } from "../upstream.ts";
import type { OpenCodec, WireProtocol } from "./codecs.ts";
import { type ConnectionOwner, PooledConnection } from "./pooled-connection.ts";
import { type RequestOwner, UpstreamRequest } from "./upstream-request.ts";

/** What the endpoint and its cluster count. */
export interface PoolObserver {
  requestStarted(): void;
  requestEnded(failed: boolean): void;
  connectionOpened(): void;
  connectionClosed(): void;
  connectFailed(failure: UpstreamFailure): void;
  /** A breaker said no: to a connection, to waiting, to a request. */
  overflowed(what: "connection" | "pending" | "request"): void;
  /** Nothing is left in it. */
  poolEmpty(pool: HttpPool): void;
}

export interface PoolDeps {
  readonly clock: Clock;
  readonly protocol: WireProtocol;
  readonly settings: UpstreamHttp;
  readonly breakers: Breakers;
  readonly openCodec: OpenCodec;
  /** Opens a connection; rejects with UpstreamError. */
  readonly dial: (signal: AbortSignal) => Promise<Dialed>;
  readonly observer: PoolObserver;
}

const overflow: UpstreamFailure = { kind: "overflow", reason: "" };

export class HttpPool implements ConnectionOwner, RequestOwner {
  readonly #deps: PoolDeps;
  /** The last one is used next. */
  readonly #ready: PooledConnection[] = [];
  readonly #all = new Set<PooledConnection>();
  readonly #connecting = new Set<AbortController>();
  readonly #waiting = new Set<UpstreamRequest>();
  #draining = false;

  constructor(deps: PoolDeps) {
    this.#deps = deps;
  }

  get connections(): number {
    return this.#all.size + this.#connecting.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  request(head: RequestHead, endStream: boolean, receiver: UpstreamReceiver): BodyWriter {
    const request = new UpstreamRequest(this, head, endStream, receiver);
    const connection = this.#takeReady();
    if (connection !== undefined) {
      this.#attach(request, connection);
      return request;
    }
    const { breakers, observer } = this.#deps;
    if (!breakers.mayWait) {
      observer.overflowed("pending");
      request.fail(overflow);
      return request;
    }
    breakers.pending.take();
    this.#waiting.add(request);
    this.#connectForWaiting();
    return request;
  }

  /** The endpoint has gone, or its settings have changed: what is under way ends in peace. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const connection of [...this.#all]) connection.drain();
    this.#forgetIfEmpty();
  }

  destroy(detail: string): void {
    this.#draining = true;
    for (const controller of [...this.#connecting]) controller.abort(new Error(detail));
    this.#failWaiting({ kind: "connect-failed", reason: detail });
    for (const connection of [...this.#all]) connection.destroy(detail);
  }

  // RequestOwner

  requestCancelled(request: UpstreamRequest): void {
    if (this.#waiting.delete(request)) this.#deps.breakers.pending.give();
  }

  requestEnded(request: UpstreamRequest, failed: boolean): void {
    this.#deps.breakers.requests.give();
    this.#deps.observer.requestEnded(failed);
    const { connection } = request;
    // Before the exchange hears of the end: what it does next must find the connection free again.
    if (!failed && connection?.canTake) this.connectionReady(connection);
  }

  // ConnectionOwner

  connectionReady(connection: PooledConnection): void {
    if (connection.client?.activeRequests === 0) connection.idle();
    this.#list(connection);
    this.#serveWaiting();
  }

  connectionSpent(connection: PooledConnection): void {
    if (!connection.listed) return;
    connection.listed = false;
    const at = this.#ready.indexOf(connection);
    if (at >= 0) this.#ready.splice(at, 1);
  }

  connectionClosed(connection: PooledConnection): void {
    if (!this.#all.delete(connection)) return;
    this.#deps.breakers.connections.give();
    this.#deps.observer.connectionClosed();
    // Its place may be what those who wait were waiting for.
    this.#connectForWaiting();
    this.#forgetIfEmpty();
  }

  #takeReady(): PooledConnection | undefined {
    const ready = this.#ready;
    for (let connection = ready.at(-1); connection !== undefined; connection = ready.at(-1)) {
      if (connection.canTake) return connection;
      ready.pop();
      connection.listed = false;
    }
    return undefined;
  }

  #list(connection: PooledConnection): void {
    if (connection.listed || !connection.canTake) return;
    connection.listed = true;
    this.#ready.push(connection);
  }

  #attach(request: UpstreamRequest, connection: PooledConnection): void {
    const { breakers, observer } = this.#deps;
    if (!breakers.mayRequest) {
      observer.overflowed("request");
      request.fail(overflow);
      return;
    }
    const { client } = connection;
    if (client === undefined) return;
    breakers.requests.take();
    observer.requestStarted();
    request.connection = connection;
    request.start(client, connection.localAddress);
    connection.opened();
    if (this.#draining) connection.drain();
  }

  #serveWaiting(): void {
    for (const request of this.#waiting) {
      const connection = this.#takeReady();
      if (connection === undefined) return;
      this.#waiting.delete(request);
      this.#deps.breakers.pending.give();
      this.#attach(request, connection);
    }
  }

  #connectForWaiting(): void {
    const { protocol, settings, breakers, observer } = this.#deps;
    const each = protocol === "http1" ? 1 : settings.http2.maxConcurrentStreams;
    while (this.#waiting.size > this.#connecting.size * each) {
      // An endpoint without any connection always gets one, or others' load could starve it for ever.
      if (!breakers.mayConnect && this.connections > 0) {
        observer.overflowed("connection");
        return;
      }
      this.#connect();
    }
  }

  #connect(): void {
    const { breakers, dial, observer } = this.#deps;
    const controller = new AbortController();
    this.#connecting.add(controller);
    breakers.connections.take();
    dial(controller.signal).then(
      (dialed) => {
        this.#connecting.delete(controller);
        this.#connected(dialed);
      },
      (thrown: unknown) => {
        this.#connecting.delete(controller);
        breakers.connections.give();
        if (!controller.signal.aborted) {
          const { failure } = asUpstreamError(thrown);
          observer.connectFailed(failure);
          // Envoy's way: who waits would only wait for the same. The exchange tries another endpoint.
          this.#failWaiting(failure);
        }
        this.#forgetIfEmpty();
      },
    );
  }

  #connected({ stream, localAddress }: Dialed): void {
    const { protocol, settings, openCodec, observer, clock } = this.#deps;
    const connection = new PooledConnection(this, settings, localAddress, clock);
    this.#all.add(connection);
    observer.connectionOpened();
    connection.begin(openCodec(protocol, stream, settings, connection));
    const isReady = connection.canTake;
    this.#list(connection);
    this.#serveWaiting();
    if (this.#draining) connection.drain();
    // It may have taken fewer than were reckoned with. One that takes none yet says so when it does.
    if (isReady) this.#connectForWaiting();
  }

  /** Those who come again at once wait anew. */
  #failWaiting(failure: UpstreamFailure): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const _request of waiting) this.#deps.breakers.pending.give();
    for (const request of waiting) request.fail(failure);
  }

  #forgetIfEmpty(): void {
    if (this.connections === 0 && this.#waiting.size === 0) this.#deps.observer.poolEmpty(this);
  }
}
