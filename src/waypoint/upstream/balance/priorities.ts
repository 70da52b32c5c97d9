/**
 * How much of the load each priority gets, as Envoy reckons it: the first takes all while it is healthy enough (its healthy
 * share times the overprovisioning factor), what it cannot take goes to the next. When too few are healthy, health is not
 * looked at any more (panic).
 */
import type { Host, HostSet, Level } from "./host.ts";

export interface PriorityLoad {
  /** Percent for healthy hosts of each priority, then for degraded ones. All add up to 100, or to 0 when nobody is left. */
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  /** Priorities where all hosts are chosen from. */
  readonly panic: readonly boolean[];
}

interface Availability {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
}

function availabilityOf<H extends Host>(level: Level<H>, weighted: boolean): Availability {
  let total = 0;
  let healthy = 0;
  let degraded = 0;
  for (const { hosts } of level.localities) {
    for (const { host, health } of hosts) {
      const counts = weighted ? host.weight : 1;
      total += counts;
      if (health === "healthy") healthy += counts;
      else if (health === "degraded") degraded += counts;
    }
  }
  return { total, healthy, degraded };
}

const share = (part: number, { total }: Availability, factor: number): number =>
  total === 0 ? 0 : Math.min(100, Math.floor((factor * part) / total));

export function priorityLoad<H extends Host>(
  set: HostSet<H>,
  panicThresholdPercent: number,
  excluded: ReadonlySet<number> = new Set(),
): PriorityLoad {
  const { levels, overprovisioningFactor: factor } = set;
  const counts = levels.map((level) => availabilityOf(level, set.weightedPriorityHealth));
  const isIn = (priority: number): boolean => !excluded.has(priority);
  const healthy = counts.map((count, at) => (isIn(at) ? share(count.healthy, count, factor) : 0));
  const degraded = counts.map((count, at) => (isIn(at) ? share(count.degraded, count, factor) : 0));
  const available = Math.min(100, sum(healthy) + sum(degraded));
  if (available === 0) return nobodyLeft(counts, panicThresholdPercent);
  const first = distribute(healthy, 100, available);
  const second = distribute(degraded, first.left, available);
  // Rounding leaves a little: it goes to the first that takes anything.
  giveRest(first.loads, second.loads, second.left);
  return {
    healthy: first.loads,
    degraded: second.loads,
    panic: counts.map((count) => available < 100 && isInPanic(count, panicThresholdPercent)),
  };
}

function isInPanic(count: Availability, thresholdPercent: number): boolean {
  if (count.total === 0) return false;
  const usable = (100 * count.healthy) / count.total + (100 * count.degraded) / count.total;
  return usable < thresholdPercent;
}

/** Everything is unhealthy: with a threshold all hosts share the load by their number, without one nobody gets any. */
function nobodyLeft(counts: readonly Availability[], thresholdPercent: number): PriorityLoad {
  const none = counts.map(() => 0);
  if (thresholdPercent === 0)
    return { healthy: none, degraded: none, panic: counts.map(() => false) };
  const hosts = sum(counts.map(({ total }) => total));
  const loads = counts.map(({ total }) => (hosts === 0 ? 0 : Math.floor((100 * total) / hosts)));
  const first = counts.findIndex(({ total }) => total > 0);
  if (first >= 0) loads[first] = (loads[first] ?? 0) + 100 - sum(loads);
  return { healthy: loads, degraded: none, panic: counts.map(() => true) };
}

function distribute(
  shares: readonly number[],
  load: number,
  available: number,
): { readonly loads: number[]; readonly left: number } {
  let left = load;
  const loads = shares.map((percent) => {
    const taken = Math.min(left, Math.floor((percent * 100) / available));
    left -= taken;
    return taken;
  });
  return { loads, left };
}

function giveRest(healthy: number[], degraded: number[], left: number): void {
  if (left === 0) return;
  for (const loads of [healthy, degraded]) {
    const at = loads.findIndex((load) => load > 0);
    if (at < 0) continue;
    loads[at] = (loads[at] ?? 0) + left;
    return;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Where a draw from 0 to 99 falls. Undefined: there is no load at all. */
export function drawPriority(
  load: PriorityLoad,
  draw: number,
): { readonly priority: number; readonly health: "healthy" | "degraded" } | undefined {
  let upTo = 0;
  for (const health of ["healthy", "degraded"] as const) {
    for (const [priority, percent] of load[health].entries()) {
      upTo += percent;
      if (draw < upTo) return { priority, health };
    }
  }
  return undefined;
}
