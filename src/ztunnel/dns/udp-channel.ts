/**
 * One UDP socket connected to one nameserver, shared by a few dozen queries and then replaced, so that ports keep
 * changing without a socket a query. Being connected, the kernel drops foreign datagrams and reports a dead server at once.
 */
import type { Socket } from "node:dgram";
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { type ExchangeOutcome, failed } from "./exchange.ts";
import { answers, idOf, withId } from "./match.ts";

/** After so many queries a new socket, and with it a new random port, takes over. */
const MAX_QUERIES = 64;
/** Also a bound on how long one port is tied to one backend of a nameserver behind a virtual address. */
const MAX_AGE_MS = 5000;

interface Pending {
  readonly query: Uint8Array;
  readonly timer: Timer;
  readonly settle: (outcome: ExchangeOutcome) => void;
}

export interface UdpChannelDeps {
  readonly clock: Clock;
  /** A random whole number from 0 to 65535. */
  readonly randomId: () => number;
}

export class UdpChannel {
  readonly #socket: Socket;
  readonly #deps: UdpChannelDeps;
  readonly #pending = new Map<number, Pending>();
  readonly #age: Timer;
  #queries = 0;
  /** Retired: takes no more queries, closes with the last open one. */
  #state: "open" | "retired" | "closed" = "open";

  /** Takes over a connected socket. */
  constructor(socket: Socket, deps: UdpChannelDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.#age = deps.clock.after(MAX_AGE_MS, () => this.#retire());
    socket.on("message", (packet) => this.#receive(packet));
    socket.on("error", (error) => this.close(describeError(error)));
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  get usable(): boolean {
    return this.#state === "open";
  }

  send(query: Uint8Array, timeoutMs: number): Promise<ExchangeOutcome> {
    if (!this.usable) return Promise.resolve(failed("socket closed"));
    const id = this.#freeId();
    if (++this.#queries >= MAX_QUERIES) this.#state = "retired";
    return new Promise((resolve) => {
      const settle = (outcome: ExchangeOutcome): void => {
        if (!this.#pending.delete(id)) return;
        timer.cancel();
        resolve(outcome);
        if (this.#state === "retired" && this.#pending.size === 0) this.close("retired");
      };
      const timer = this.#deps.clock.after(timeoutMs, () => settle(failed("timed out")));
      this.#pending.set(id, { query, timer, settle });
      this.#socket.send(withId(query, id), (error) => {
        if (error) settle(failed(describeError(error)));
      });
    });
  }

  /** Ends open exchanges with this reason. Idempotent. */
  close(reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#age.cancel();
    this.#socket.close();
    for (const { settle } of [...this.#pending.values()]) settle(failed(reason));
  }

  /** At most 64 ids are taken, so this ends. */
  #freeId(): number {
    for (;;) {
      const id = this.#deps.randomId();
      if (!this.#pending.has(id)) return id;
    }
  }

  #retire(): void {
    if (this.#state !== "open") return;
    this.#state = "retired";
    if (this.#pending.size === 0) this.close("retired");
  }

  /** What matches nothing is dropped: late, or forged. */
  #receive(packet: Uint8Array): void {
    const id = packet.length < 2 ? -1 : idOf(packet);
    const pending = this.#pending.get(id);
    if (pending === undefined || !answers({ id, query: pending.query }, packet)) return;
    pending.settle({ kind: "response", packet: withId(packet, idOf(pending.query)) });
  }
}
