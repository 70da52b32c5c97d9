/** Scalars that Istio and the Gateway API write in their own way. */
import type { Schema } from "../schema.ts";

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's spelling: `1h30m`, `300ms`, `1.5s`; `0` needs no unit. Undefined when it is none. */
export function parseDurationMs(text: string): number | undefined {
  if (text === "0") return 0;
  const negative = text.startsWith("-");
  const rest = negative || text.startsWith("+") ? text.slice(1) : text;
  if (!/^((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+$/.test(rest)) return undefined;
  let total = 0;
  for (const [, amount, unit] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g))
    total += Number(amount) * (UNITS_MS[unit ?? ""] ?? 0);
  return negative ? -total : total;
}

/** Milliseconds, not below zero; decoded from text. */
export const duration: Schema<number> = {
  decode: (value, path, problems) => {
    const parsed = typeof value === "string" ? parseDurationMs(value) : undefined;
    if (parsed !== undefined && parsed >= 0) return parsed;
    const reason = `must be a duration such as 300ms, 5s or 1h, found ${JSON.stringify(value)}`;
    problems.push({ path, reason });
    return undefined;
  },
};

/** Any number between the bounds, also broken ones. */
export function number(min: number, max: number): Schema<number> {
  return {
    decode: (value, path, problems) => {
      if (typeof value === "number" && value >= min && value <= max) return value;
      problems.push({
        path,
        reason: `must be a number from ${min} to ${max}, found ${JSON.stringify(value)}`,
      });
      return undefined;
    },
  };
}

export const MAX_UINT32 = 4_294_967_295;
export const MAX_INT32 = 2_147_483_647;
