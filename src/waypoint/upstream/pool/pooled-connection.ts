/** One connection of a pool: how long it may live, and when it is of no more use. */
import type { Clock, Timer } from "../../../shared/base/clock.ts";
import type { ClientConnectionEvents, HttpClientConnection } from "../../http/stream.ts";
import type { UpstreamHttp } from "../../model/cluster.ts";

export interface ConnectionOwner {
  /** It can take a request, or another one. */
  connectionReady(connection: PooledConnection): void;
  /** It takes no more. Called once. */
  connectionSpent(connection: PooledConnection): void;
  /** Its transport is closed. Called once. */
  connectionClosed(connection: PooledConnection): void;
}

export class PooledConnection implements ClientConnectionEvents {
  readonly localAddress: string | undefined;
  readonly #owner: ConnectionOwner;
  readonly #clock: Clock;
  readonly #settings: UpstreamHttp;
  #client: HttpClientConnection | undefined;
  #spent = false;
  /** Listed by its owner among those that can take requests. */
  listed = false;
  #idleSinceMs = 0;
  #idleTimer: Timer | undefined;
  #lifeTimer: Timer | undefined;

  constructor(
    owner: ConnectionOwner,
    settings: UpstreamHttp,
    localAddress: string | undefined,
    clock: Clock,
  ) {
    this.#owner = owner;
    this.#settings = settings;
    this.#clock = clock;
    this.localAddress = localAddress;
  }

  /** Undefined until `begin`. */
  get client(): HttpClientConnection | undefined {
    return this.#client;
  }

  get canTake(): boolean {
    return !this.#spent && (this.#client?.capacity ?? 0) > 0;
  }

  begin(client: HttpClientConnection): void {
    this.#client = client;
    const { idleTimeoutMs, maxConnectionDurationMs } = this.#settings;
    this.#idleSinceMs = this.#clock.monotonicMs();
    if (idleTimeoutMs > 0) this.#watchIdle(idleTimeoutMs);
    if (maxConnectionDurationMs > 0)
      this.#lifeTimer = this.#clock.after(maxConnectionDurationMs, () => this.drain());
    void client.closed.then(() => this.#closed());
  }

  /** After each request that was opened on it. */
  opened(): void {
    const { maxRequestsPerConnection } = this.#settings;
    const served = this.#client?.servedRequests ?? 0;
    if (maxRequestsPerConnection > 0 && served >= maxRequestsPerConnection) this.drain();
  }

  /** The last request has ended. */
  idle(): void {
    this.#idleSinceMs = this.#clock.monotonicMs();
  }

  drain(): void {
    this.#client?.drain();
    this.#spend();
  }

  destroy(detail: string): void {
    this.#client?.destroy({ kind: "local", detail });
    this.#spend();
  }

  // ClientConnectionEvents

  available(): void {
    if (!this.#spent) this.#owner.connectionReady(this);
  }

  unusable(): void {
    this.#spend();
  }

  #spend(): void {
    if (this.#spent) return;
    this.#spent = true;
    this.#idleTimer?.cancel();
    this.#lifeTimer?.cancel();
    this.#owner.connectionSpent(this);
  }

  #closed(): void {
    this.#spend();
    this.#owner.connectionClosed(this);
  }

  /** One timer that looks again, rather than one for each request. */
  #watchIdle(delayMs: number): void {
    this.#idleTimer = this.#clock.after(delayMs, () => {
      const { idleTimeoutMs } = this.#settings;
      const isBusy = (this.#client?.activeRequests ?? 0) > 0;
      const idleMs = isBusy ? 0 : this.#clock.monotonicMs() - this.#idleSinceMs;
      if (idleMs >= idleTimeoutMs) this.drain();
      else this.#watchIdle(Math.max(1, idleTimeoutMs - idleMs));
    });
  }
}
