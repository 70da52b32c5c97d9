/**
 * Outlier detection of one cluster, as Envoy does it: an endpoint that fails too often in a row is left out for a while, longer
 * each time, never more than a share of all; it comes back at the first look after its time.
 */
import type { Clock, Timer } from "../../../shared/base/clock.ts";
import type { OutlierConfig } from "../../model/cluster.ts";
import { enforcingPercent, judgeRates } from "./outlier-rates.ts";
import type { OutlierRecord, OutlierResult, OutlierRule } from "./outlier-record.ts";

export interface OutlierDeps {
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  /** An endpoint was ejected or came back: choose anew. */
  readonly changed: () => void;
}

/** For statistics and people. */
export interface OutlierCounts {
  /** Now. */
  active: number;
  enforced: number;
  /** A rule fired, but so many are out already. */
  overflow: number;
  byRule: Map<OutlierRule, number>;
}

export class OutlierDetector {
  readonly counts: OutlierCounts = { active: 0, enforced: 0, overflow: 0, byRule: new Map() };
  readonly #deps: OutlierDeps;
  readonly #records = new Set<OutlierRecord>();
  #config: OutlierConfig;
  #timer: Timer;

  constructor(config: OutlierConfig, deps: OutlierDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#timer = this.#everyInterval();
  }

  /** New settings for the same endpoints; who is out stays out. */
  reconfigure(config: OutlierConfig): void {
    this.#config = config;
    this.#timer.cancel();
    this.#timer = this.#everyInterval();
  }

  add(record: OutlierRecord): void {
    this.#records.add(record);
    if (record.ejectedAtMs !== undefined) this.counts.active++;
  }

  remove(record: OutlierRecord): void {
    if (this.#records.delete(record) && record.ejectedAtMs !== undefined) this.counts.active--;
  }

  note(record: OutlierRecord, result: OutlierResult): void {
    for (const rule of record.note(result, this.#config)) this.#fire(record, rule);
  }

  /** Everybody is let back in. */
  close(): void {
    this.#timer.cancel();
    for (const record of this.#records) record.ejectedAtMs = undefined;
    this.#records.clear();
    this.counts.active = 0;
  }

  #everyInterval(): Timer {
    return this.#deps.clock.every(this.#config.intervalMs, () => this.#look());
  }

  #fire(record: OutlierRecord, rule: OutlierRule): void {
    if (!this.#records.has(record) || record.ejectedAtMs !== undefined) return;
    this.#eject(record, rule);
    if (rule === "consecutive-5xx") record.forget5xx();
    else if (rule === "consecutive-gateway-failure") record.forgetGateway();
    else if (rule === "consecutive-local-origin-failure") record.forgetLocal();
  }

  #eject(record: OutlierRecord, rule: OutlierRule): void {
    const { counts } = this;
    counts.byRule.set(rule, (counts.byRule.get(rule) ?? 0) + 1);
    if (!this.#mayEject()) {
      counts.overflow++;
      return;
    }
    const { clock, random, changed } = this.#deps;
    if (random() * 100 >= enforcingPercent(rule, this.#config)) return;
    const { baseEjectionMs, maxEjectionMs, maxEjectionJitterMs } = this.#config;
    counts.active++;
    counts.enforced++;
    record.ejectedAtMs = clock.monotonicMs();
    record.jitterMs = maxEjectionJitterMs * random();
    record.ejections++;
    if (baseEjectionMs * record.backoff < maxEjectionMs) record.backoff++;
    changed();
  }

  #mayEject(): boolean {
    const { maxEjectionPercent, alwaysEjectOne } = this.#config;
    if (alwaysEjectOne && this.counts.active === 0) return true;
    return (100 * (this.counts.active + 1)) / this.#records.size <= maxEjectionPercent;
  }

  #look(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    let isChanged = false;
    for (const record of this.#records) if (this.#comesBack(record, nowMs)) isChanged = true;
    for (const { record, rule } of judgeRates([...this.#records], this.#config))
      this.#fire(record, rule);
    for (const record of this.#records) record.nextInterval();
    if (isChanged) this.#deps.changed();
  }

  #comesBack(record: OutlierRecord, nowMs: number): boolean {
    if (record.ejectedAtMs === undefined) {
      // A quiet interval makes the next ejection shorter.
      if (record.backoff > 0) record.backoff--;
      return false;
    }
    const { baseEjectionMs, maxEjectionMs } = this.#config;
    const forMs = Math.min(baseEjectionMs * record.backoff, maxEjectionMs) + record.jitterMs;
    if (nowMs - record.ejectedAtMs < forMs) return false;
    record.ejectedAtMs = undefined;
    record.forgetAll();
    this.counts.active--;
    return true;
  }
}
