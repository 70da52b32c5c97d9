/** The functions of the language's standard library, by name and number of arguments; the receiver is the first. */
import { RE2JS } from "re2js";
import { type UtcDate, utcDate } from "../../../shared/base/utc.ts";
import { bounded } from "./operators.ts";
import { printValue } from "./print.ts";
import { CelDuration, CelMap, CelTimestamp, type CelValue } from "./value.ts";

type Function1 = (value: CelValue) => CelValue | undefined;
type Function2 = (value: CelValue, other: CelValue) => CelValue | undefined;

const encoder = new TextEncoder();

function size(value: CelValue): CelValue | undefined {
  // In code points, not UTF-16 units.
  if (typeof value === "string") return BigInt([...value].length);
  if (value instanceof Uint8Array) return BigInt(value.length);
  if (value instanceof CelMap) return BigInt(value.keys().length);
  return Array.isArray(value) ? BigInt(value.length) : undefined;
}

function toInt(value: CelValue): CelValue | undefined {
  switch (typeof value) {
    case "bigint":
      return value;
    case "number":
      return Number.isFinite(value) && Math.abs(value) < 2 ** 63
        ? BigInt(Math.trunc(value))
        : undefined;
    case "string":
      return /^[+-]?\d+$/.test(value) ? bounded(BigInt(value.replace("+", ""))) : undefined;
    default:
      return value instanceof CelTimestamp ? BigInt(Math.floor(value.wallMs / 1000)) : undefined;
  }
}

function toUint(value: CelValue): CelValue | undefined {
  const int = toInt(value);
  return typeof int === "bigint" && int >= 0n ? int : undefined;
}

function toDouble(value: CelValue): CelValue | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const double = Number(value);
  return Number.isNaN(double) ? undefined : double;
}

function toText(value: CelValue): CelValue | undefined {
  switch (typeof value) {
    case "string":
    case "bigint":
    case "boolean":
    case "number":
      return printValue(value);
    default:
      return value instanceof Uint8Array ||
        value instanceof CelTimestamp ||
        value instanceof CelDuration
        ? printValue(value)
        : undefined;
  }
}

function toBytes(value: CelValue): CelValue | undefined {
  if (value instanceof Uint8Array) return value;
  return typeof value === "string" ? encoder.encode(value) : undefined;
}

function toBool(value: CelValue): CelValue | undefined {
  if (typeof value === "boolean") return value;
  if (value === "true" || value === "1" || value === "t" || value === "TRUE") return true;
  return value === "false" || value === "0" || value === "f" || value === "FALSE"
    ? false
    : undefined;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  ns: 1e-6,
};

function toDuration(value: CelValue): CelValue | undefined {
  if (value instanceof CelDuration) return value;
  if (typeof value !== "string") return undefined;
  if (value === "0") return new CelDuration(0);
  const found = /^([+-]?)((?:\d+(?:\.\d+)?(?:h|ms|m|s|us|ns))+)$/.exec(value);
  if (found === null) return undefined;
  let ms = 0;
  for (const [, amount, unit = ""] of (found[2] ?? "").matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)/g))
    ms += Number(amount) * (UNIT_MS[unit] ?? 0);
  return new CelDuration(found[1] === "-" ? -ms : ms);
}

/** RFC 3339. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function toTimestamp(value: CelValue): CelValue | undefined {
  if (value instanceof CelTimestamp) return value;
  if (typeof value === "bigint") return new CelTimestamp(Number(value) * 1000);
  if (typeof value !== "string" || !TIMESTAMP.test(value)) return undefined;
  // biome-ignore lint/style/noRestrictedGlobals: reads a given instant, not the clock
  const wallMs = Date.parse(value);
  return Number.isNaN(wallMs) ? undefined : new CelTimestamp(wallMs);
}

/** Of a duration the whole of it in this unit; of a time of day in UTC the field. */
function timePart(unitMs: number, field: (date: UtcDate) => number): Function1 {
  return (value) => {
    if (value instanceof CelDuration) return BigInt(Math.trunc(value.ms / unitMs));
    return value instanceof CelTimestamp ? datePart(value, field) : undefined;
  };
}

function datePart(value: CelValue, field: (date: UtcDate) => number): CelValue | undefined {
  return value instanceof CelTimestamp ? BigInt(field(utcDate(value.wallMs))) : undefined;
}

function onText(test: (text: string, part: string) => boolean): Function2 {
  return (text, part) =>
    typeof text === "string" && typeof part === "string" ? test(text, part) : undefined;
}

/** Linear in the length of the text, whatever the pattern is. */
export function matcher(pattern: string): (text: CelValue) => CelValue | undefined {
  const compiled = RE2JS.compile(pattern);
  return (text) => (typeof text === "string" ? compiled.matcher(text).find() : undefined);
}

function matches(text: CelValue, pattern: CelValue): CelValue | undefined {
  if (typeof pattern !== "string") return undefined;
  try {
    return matcher(pattern)(text);
  } catch {
    return undefined;
  }
}

/** May be called as function and as member. */
const either1: Readonly<Record<string, Function1>> = { size };
const either2: Readonly<Record<string, Function2>> = { matches };

const global1: Readonly<Record<string, Function1>> = {
  int: toInt,
  uint: toUint,
  double: toDouble,
  string: toText,
  bytes: toBytes,
  bool: toBool,
  duration: toDuration,
  timestamp: toTimestamp,
  dyn: (value) => value,
};

const member1: Readonly<Record<string, Function1>> = {
  getFullYear: (value) => datePart(value, (date) => date.year),
  getMonth: (value) => datePart(value, (date) => date.month - 1),
  getDate: (value) => datePart(value, (date) => date.day),
  getDayOfMonth: (value) => datePart(value, (date) => date.day - 1),
  getDayOfWeek: (value) => datePart(value, (date) => date.weekday),
  getHours: timePart(3_600_000, (date) => date.hour),
  getMinutes: timePart(60_000, (date) => date.minute),
  getSeconds: timePart(1000, (date) => date.second),
  getMilliseconds: timePart(1, (date) => Math.floor(date.nanosecond / 1e6)),
};

const member2: Readonly<Record<string, Function2>> = {
  startsWith: onText((text, part) => text.startsWith(part)),
  endsWith: onText((text, part) => text.endsWith(part)),
  contains: onText((text, part) => text.includes(part)),
};

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** Undefined: there is no such function. */
export function function1(name: string, member: boolean): Function1 | undefined {
  return own(either1, name) ?? own(member ? member1 : global1, name);
}

export function function2(name: string, member: boolean): Function2 | undefined {
  return own(either2, name) ?? (member ? own(member2, name) : undefined);
}
