/** Choices that do not depend on the request: round robin, least request, random. Each looks at one list of hosts. */
import type { Balance, SlowStart } from "../../model/cluster.ts";
import { EdfQueue } from "./edf.ts";
import type { Host } from "./host.ts";
import { slowStartFactor } from "./slow-start.ts";

export interface Chooser<H extends Host> {
  choose(): H | undefined;
}

export interface Chance {
  /** [0, 1) */
  readonly random: () => number;
  readonly nowMs: () => number;
}

export type Turns = Extract<Balance, { kind: "round-robin" | "least-request" | "random" }>;

export function chooserOf<H extends Host>(
  balance: Turns,
  hosts: readonly H[],
  chance: Chance,
): Chooser<H> {
  switch (balance.kind) {
    case "random":
      return new RandomChooser(hosts, chance.random);
    case "round-robin":
      return needsWeights(hosts, balance.slowStart, chance)
        ? new WeightedChooser(hosts, startingWeight(balance.slowStart, chance))
        : new RoundRobin(hosts, chance.random);
    case "least-request":
      if (!needsWeights(hosts, balance.slowStart, chance))
        return new LeastRequest(hosts, balance.choices, chance.random);
      return new WeightedChooser(
        hosts,
        busyWeight(startingWeight(balance.slowStart, chance), balance.activeRequestBias),
      );
  }
}

/** Equal weights and nobody who starts slowly: turns need no queue. */
function needsWeights<H extends Host>(
  hosts: readonly H[],
  slowStart: SlowStart | undefined,
  { nowMs }: Chance,
): boolean {
  const [first] = hosts;
  if (first === undefined) return false;
  if (hosts.some(({ weight }) => weight !== first.weight)) return true;
  if (slowStart === undefined) return false;
  const startedAfterMs = nowMs() - slowStart.windowMs;
  return hosts.some(({ sinceMs }) => sinceMs > startedAfterMs);
}

type WeightOf<H> = (host: H) => number;

function startingWeight<H extends Host>(
  slowStart: SlowStart | undefined,
  { nowMs }: Chance,
): WeightOf<H> {
  if (slowStart === undefined) return ({ weight }) => weight;
  return ({ weight, sinceMs }) => weight * slowStartFactor(slowStart, nowMs() - sinceMs);
}

/** Weight over (requests under way + 1) to the power of the bias. */
function busyWeight<H extends Host>(weightOf: WeightOf<H>, bias: number): WeightOf<H> {
  if (bias === 0) return weightOf;
  if (bias === 1) return (host) => weightOf(host) / (host.active + 1);
  return (host) => weightOf(host) / (host.active + 1) ** bias;
}

class RandomChooser<H extends Host> implements Chooser<H> {
  readonly #hosts: readonly H[];
  readonly #random: () => number;

  constructor(hosts: readonly H[], random: () => number) {
    this.#hosts = hosts;
    this.#random = random;
  }

  choose(): H | undefined {
    return this.#hosts[Math.floor(this.#random() * this.#hosts.length)];
  }
}

class RoundRobin<H extends Host> implements Chooser<H> {
  readonly #hosts: readonly H[];
  #at: number;

  constructor(hosts: readonly H[], random: () => number) {
    this.#hosts = hosts;
    // Many proxies must not begin with the same host.
    this.#at = Math.floor(random() * hosts.length);
  }

  choose(): H | undefined {
    const { length } = this.#hosts;
    if (length === 0) return undefined;
    this.#at = this.#at + 1 >= length ? 0 : this.#at + 1;
    return this.#hosts[this.#at];
  }
}

/** The least busy of a few drawn at random, which is nearly as good as of all and does not herd. */
class LeastRequest<H extends Host> implements Chooser<H> {
  readonly #hosts: readonly H[];
  readonly #choices: number;
  readonly #random: () => number;

  constructor(hosts: readonly H[], choices: number, random: () => number) {
    this.#hosts = hosts;
    this.#choices = choices;
    this.#random = random;
  }

  choose(): H | undefined {
    const hosts = this.#hosts;
    const { length } = hosts;
    if (length <= 1) return hosts[0];
    let best: H | undefined;
    for (let choice = 0; choice < this.#choices; choice++) {
      const host = hosts[Math.floor(this.#random() * length)];
      if (best === undefined || (host !== undefined && host.active < best.active)) best = host;
    }
    return best;
  }
}

class WeightedChooser<H extends Host> implements Chooser<H> {
  readonly #queue: EdfQueue<H>;

  constructor(hosts: readonly H[], weightOf: WeightOf<H>) {
    this.#queue = new EdfQueue(hosts, weightOf);
  }

  choose(): H | undefined {
    return this.#queue.next();
  }
}
