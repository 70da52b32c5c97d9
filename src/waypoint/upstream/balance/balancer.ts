/**
 * From a set of hosts to one of them: priority first, then locality, then host. Built anew whenever hosts or their health
 * change; what it remembers in between (whose turn it is) is lost with it, as in Envoy.
 */
import type { Balance } from "../../model/cluster.ts";
import { type Chance, type Chooser, chooserOf, type Turns } from "./choosers.ts";
import type { EdfQueue } from "./edf.ts";
import type { Host, HostSet, Level } from "./host.ts";
import { hostsOf, inLocality } from "./host.ts";
import { localityTurns } from "./localities.ts";
import { buildMaglev } from "./maglev.ts";
import { normalizedShares } from "./normalized.ts";
import { drawPriority, type PriorityLoad, priorityLoad } from "./priorities.ts";
import { buildRing, type HashTable } from "./ring-hash.ts";

export interface BalancerSettings {
  readonly balance: Balance;
  readonly panicThresholdPercent: number;
  readonly localityWeighted: boolean;
}

export interface Choice<H extends Host> {
  readonly hash: bigint | undefined;
  /** Of earlier attempts. */
  readonly tried: readonly H[];
  /** Whether hosts that were tried are avoided: how many more are looked at. */
  readonly moreAttempts: number;
  readonly previousPriorities: number | undefined;
}

type Health = "healthy" | "degraded" | "any";

export class Balancer<H extends Host> {
  readonly #settings: BalancerSettings;
  readonly #set: HostSet<H>;
  readonly #chance: Chance;
  readonly #load: PriorityLoad;
  readonly #inPanic: boolean;
  /** One list of hosts is all there is, as usual: its turns need no draw. For first attempts. */
  readonly only: Chooser<H> | undefined;
  readonly #choosers = new Map<string, Chooser<H>>();
  readonly #turns = new Map<string, EdfQueue<number> | undefined>();
  readonly #tables = new Map<number, HashTable<H>>();

  constructor(settings: BalancerSettings, set: HostSet<H>, chance: Chance) {
    this.#settings = settings;
    this.#set = set;
    this.#chance = chance;
    this.#load = priorityLoad(set, settings.panicThresholdPercent);
    this.#inPanic = this.#load.panic.includes(true);
    this.only = this.#single();
  }

  /** Health is not looked at in some priority. */
  get inPanic(): boolean {
    return this.#inPanic;
  }

  pick(choice: Choice<H>): H | undefined {
    const { balance } = this.#settings;
    const isHashed = balance.kind === "ring-hash" || balance.kind === "maglev";
    if (this.only !== undefined && choice.tried.length === 0) return this.only.choose();
    const load = this.#loadFor(choice);
    const hash = isHashed ? (choice.hash ?? this.#randomHash()) : undefined;
    let host: H | undefined;
    for (let attempt = 0; attempt <= choice.moreAttempts; attempt++) {
      host = hash === undefined ? this.#turn(load) : this.#hashed(load, hash, attempt);
      if (host === undefined || !choice.tried.includes(host)) return host;
    }
    return host;
  }

  /** Every usable host is in one list, and nothing but turns or chance decides. */
  #single(): Chooser<H> | undefined {
    const { balance, localityWeighted } = this.#settings;
    if (balance.kind === "ring-hash" || balance.kind === "maglev" || localityWeighted) return;
    const { healthy, panic } = this.#load;
    const at = healthy.indexOf(100);
    if (at < 0) return undefined;
    return this.#chooser(at, panic[at] ? "any" : "healthy", undefined);
  }

  #loadFor({ tried, previousPriorities }: Choice<H>): PriorityLoad {
    if (previousPriorities === undefined || tried.length < previousPriorities) return this.#load;
    // Envoy takes stock after every so many attempts; between them what it last found stands.
    const counted = tried.length - (tried.length % previousPriorities);
    const priorities = new Set(tried.slice(0, counted).map(({ priority }) => priority));
    const load = priorityLoad(this.#set, 0, priorities);
    return drawPriority(load, 0) === undefined ? this.#load : load;
  }

  #turn(load: PriorityLoad): H | undefined {
    const drawn = drawPriority(load, Math.floor(this.#chance.random() * 100));
    if (drawn === undefined) return undefined;
    const { priority, health } = drawn;
    if (load.panic[priority]) return this.#chooser(priority, "any", undefined)?.choose();
    const locality = this.#locality(priority, health);
    return this.#chooser(priority, health, locality)?.choose();
  }

  #hashed(load: PriorityLoad, hash: bigint, attempt: number): H | undefined {
    // Envoy draws by the hash, so that a hash keeps its priority.
    const drawn = drawPriority(load, Number(hash % 100n));
    if (drawn === undefined) return undefined;
    return this.#table(drawn.priority, load.panic[drawn.priority] ?? false)?.find(hash, attempt);
  }

  #locality(priority: number, health: "healthy" | "degraded"): number | undefined {
    if (!this.#settings.localityWeighted) return undefined;
    const key = `${priority} ${health}`;
    if (!this.#turns.has(key)) {
      const localities = this.#set.levels[priority]?.localities ?? [];
      this.#turns.set(key, localityTurns(localities, health, this.#set.overprovisioningFactor));
    }
    return this.#turns.get(key)?.next();
  }

  #chooser(priority: number, health: Health, locality: number | undefined): Chooser<H> | undefined {
    const { balance } = this.#settings;
    const level = this.#set.levels[priority];
    if (level === undefined || balance.kind === "ring-hash" || balance.kind === "maglev") return;
    const key = `${priority} ${health} ${locality ?? ""}`;
    let chooser = this.#choosers.get(key);
    if (chooser === undefined) {
      const turns = balance.kind === "provided" ? roundRobin : balance;
      chooser = chooserOf(turns, listOf(level, health, locality), this.#chance);
      this.#choosers.set(key, chooser);
    }
    return chooser;
  }

  #table(priority: number, isPanic: boolean): HashTable<H> | undefined {
    let table = this.#tables.get(priority);
    if (table !== undefined) return table;
    const { balance, localityWeighted } = this.#settings;
    const level = this.#set.levels[priority];
    if (level === undefined) return undefined;
    const shares = normalizedShares(level, isPanic ? "any" : "healthy", localityWeighted);
    if (balance.kind === "ring-hash") table = buildRing(shares, balance, keyOf(balance));
    else if (balance.kind === "maglev")
      table = buildMaglev(shares, balance.tableSize, keyOf(balance));
    else return undefined;
    this.#tables.set(priority, table);
    return table;
  }

  #randomHash(): bigint {
    const { random } = this.#chance;
    const half = (): bigint => BigInt(Math.floor(random() * 2 ** 32));
    return (half() << 32n) | half();
  }
}

const roundRobin: Turns = { kind: "round-robin", slowStart: undefined };

function listOf<H extends Host>(
  level: Level<H>,
  health: Health,
  locality: number | undefined,
): readonly H[] {
  const chosen = locality === undefined ? undefined : level.localities[locality];
  return chosen === undefined ? hostsOf(level, health) : inLocality(chosen, health);
}

function keyOf({ byHostname }: { readonly byHostname: boolean }): (host: Host) => string {
  return byHostname
    ? ({ hostname, hashKey }) => (hostname === "" ? hashKey : hostname)
    : ({ hashKey }) => hashKey;
}
