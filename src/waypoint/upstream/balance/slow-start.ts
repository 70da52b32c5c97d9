/** A host that is new gets less at first and all after a while. */
import type { SlowStart } from "../../model/cluster.ts";

/** What the weight is multiplied with `ageMs` after the host began: Envoy's curve, 0 to 1. */
export function slowStartFactor(slowStart: SlowStart, ageMs: number): number {
  if (ageMs >= slowStart.windowMs) return 1;
  const passed = Math.max(1, ageMs) / slowStart.windowMs;
  const factor = slowStart.aggression === 1 ? passed : passed ** (1 / slowStart.aggression);
  return Math.min(1, Math.max(factor, slowStart.minWeightPercent / 100, smallest));
}

/** A weight of zero would stand still for ever. */
const smallest = 1e-6;
