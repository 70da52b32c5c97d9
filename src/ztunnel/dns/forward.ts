/**
 * Sends on what is not ours, byte for byte, to the nameservers of the pod, and brings back what they say. Bounded: in
 * queries under way, in queries waiting, and in the bytes held for both.
 */
import type { Clock } from "../../shared/base/clock.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { type ExchangeOutcome, type Exchanger, failed } from "./exchange.ts";
import { flag } from "./message.ts";
import type { DnsProtocol } from "./metrics.ts";

export interface ForwardLimits {
  readonly timeoutMs: number;
  readonly attempts: number;
  readonly maxInFlight: number;
  readonly maxWaiting: number;
  readonly maxHeldBytes: number;
}

/** Times as the reference has them (wire/ztunnel.md section 7); bounds are per pod. */
export const defaultForwardLimits: ForwardLimits = {
  timeoutMs: 5000,
  attempts: 2,
  maxInFlight: 512,
  maxWaiting: 4096,
  maxHeldBytes: 4 << 20,
};

/** A nameserver that did not answer is asked last for so long. */
const AVOID_MS = 10_000;
/** Exchangers for nameservers that nobody names any more are closed beyond this number. */
const MAX_SERVERS = 16;

export interface ForwarderDeps {
  readonly clock: Clock;
  /** The nameservers to ask, the first one first. */
  readonly nameservers: () => readonly SocketAddress[];
  readonly exchanger: (server: SocketAddress, protocol: DnsProtocol) => Exchanger;
}

interface Upstream {
  readonly udp: Exchanger;
  readonly tcp: Exchanger;
  /** Monotonic; until then it is asked after the others. */
  avoidUntilMs: number;
}

export class Forwarder {
  readonly #deps: ForwarderDeps;
  readonly #limits: ForwardLimits;
  readonly #upstreams = new Map<string, Upstream>();
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;
  #heldBytes = 0;
  #closed = false;

  constructor(deps: ForwarderDeps, limits: ForwardLimits = defaultForwardLimits) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /** Queries under way and waiting. */
  get open(): number {
    return this.#inFlight + this.#waiting.length;
  }

  async forward(query: Uint8Array, protocol: DnsProtocol): Promise<ExchangeOutcome> {
    if (this.#closed) return failed("stopped");
    if (this.#heldBytes + query.length > this.#limits.maxHeldBytes)
      return failed("too many queries");
    const busy = this.#inFlight >= this.#limits.maxInFlight;
    if (busy && this.#waiting.length >= this.#limits.maxWaiting) return failed("too many queries");
    this.#heldBytes += query.length;
    const giveUpMs = this.#deps.clock.monotonicMs() + this.#limits.timeoutMs;
    if (busy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inFlight++;
    try {
      // Whoever asked has asked again by now, or has gone.
      if (this.#deps.clock.monotonicMs() >= giveUpMs) return failed("waited too long");
      return await this.#attempt(query, protocol);
    } finally {
      this.#heldBytes -= query.length;
      // The place goes straight to the next one in line, so nobody can slip in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#inFlight--;
      else next();
    }
  }

  /** Ends open queries with a failure. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const { udp, tcp } of this.#upstreams.values()) {
      udp.close();
      tcp.close();
    }
    this.#upstreams.clear();
  }

  async #attempt(query: Uint8Array, protocol: DnsProtocol): Promise<ExchangeOutcome> {
    const servers = this.#ordered();
    let outcome = failed("no nameserver is known");
    for (let attempt = 0; attempt < this.#limits.attempts; attempt++) {
      const server = servers[attempt % servers.length];
      if (this.#closed) return failed("stopped");
      if (server === undefined) break;
      const upstream = this.#upstream(server);
      const latest = await upstream[protocol].exchange(query, this.#limits.timeoutMs);
      if (latest.kind === "failed") {
        upstream.avoidUntilMs = this.#deps.clock.monotonicMs() + AVOID_MS;
        // A refusal that we have is worth more than a silence that came after it.
        if (outcome.kind === "failed")
          outcome = failed(`${latest.reason} (${formatSocketAddress(server)})`);
        continue;
      }
      upstream.avoidUntilMs = 0;
      outcome = latest;
      const another = attempt + 1 < Math.min(servers.length, this.#limits.attempts);
      if (!another || !isRefusal(latest.packet)) break;
    }
    return outcome;
  }

  /** In the order of the settings, those that lately failed behind the others. */
  #ordered(): readonly SocketAddress[] {
    const nowMs = this.#deps.clock.monotonicMs();
    const avoided = (server: SocketAddress): boolean =>
      (this.#upstreams.get(formatSocketAddress(server))?.avoidUntilMs ?? 0) > nowMs;
    const servers = this.#deps.nameservers();
    return [
      ...servers.filter((server) => !avoided(server)),
      ...servers.filter((server) => avoided(server)),
    ];
  }

  #upstream(server: SocketAddress): Upstream {
    const key = formatSocketAddress(server);
    const known = this.#upstreams.get(key);
    if (known !== undefined) return known;
    for (const [oldest, upstream] of this.#upstreams) {
      if (this.#upstreams.size < MAX_SERVERS) break;
      upstream.udp.close();
      upstream.tcp.close();
      this.#upstreams.delete(oldest);
    }
    const created: Upstream = {
      udp: this.#deps.exchanger(server, "udp"),
      tcp: this.#deps.exchanger(server, "tcp"),
      avoidUntilMs: 0,
    };
    this.#upstreams.set(key, created);
    return created;
  }
}

/** SERVFAIL or REFUSED to a standard query: another nameserver may know better, as a stub resolver would try. */
function isRefusal(packet: Uint8Array): boolean {
  const flags = ((packet[2] ?? 0) << 8) | (packet[3] ?? 0);
  const code = flags & flag.rcode;
  return (flags & flag.opcode) === 0 && (code === 2 || code === 5);
}
