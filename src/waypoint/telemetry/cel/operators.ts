/** What operators do with values; `undefined` is the error that every operation on errors gives. */
import type { BinaryOperator } from "./ast.ts";
import {
  CelDuration,
  CelMap,
  CelTimestamp,
  type CelValue,
  compareValues,
  isNumeric,
  sameValue,
} from "./value.ts";

const MIN_INT = -(2n ** 63n);
/** Signed and unsigned share one kind here, so this is where the latter ends. */
const MAX_UINT = 2n ** 64n - 1n;

/** Integers outside 64 bits are errors, as the language says. */
export function bounded(value: bigint): bigint | undefined {
  return value < MIN_INT || value > MAX_UINT ? undefined : value;
}

export function negate(value: CelValue | undefined): CelValue | undefined {
  if (typeof value === "bigint") return bounded(-value);
  return typeof value === "number" ? -value : undefined;
}

export function index(of: CelValue | undefined, key: CelValue | undefined): CelValue | undefined {
  if (of === undefined || key === undefined) return undefined;
  if (of instanceof CelMap) return of.get(key);
  if (!Array.isArray(of) || !isNumeric(key)) return undefined;
  const list = of as readonly CelValue[];
  const position = Number(key);
  return Number.isInteger(position) && position >= 0 ? list[position] : undefined;
}

function isIn(value: CelValue, container: CelValue): boolean | undefined {
  if (container instanceof CelMap) return container.has(value);
  if (!Array.isArray(container)) return undefined;
  return (container as readonly CelValue[]).some((item) => sameValue(item, value));
}

function add(a: CelValue, b: CelValue): CelValue | undefined {
  if (typeof a === "bigint" && typeof b === "bigint") return bounded(a + b);
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (typeof a === "string" && typeof b === "string") return a + b;
  if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b] as readonly CelValue[];
  if (a instanceof Uint8Array && b instanceof Uint8Array) return new Uint8Array([...a, ...b]);
  return addTimes(a, b);
}

function addTimes(a: CelValue, b: CelValue): CelValue | undefined {
  if (a instanceof CelDuration && b instanceof CelDuration) return new CelDuration(a.ms + b.ms);
  if (a instanceof CelTimestamp && b instanceof CelDuration)
    return new CelTimestamp(a.wallMs + b.ms);
  if (a instanceof CelDuration && b instanceof CelTimestamp)
    return new CelTimestamp(a.ms + b.wallMs);
  return undefined;
}

function subtract(a: CelValue, b: CelValue): CelValue | undefined {
  if (typeof a === "bigint" && typeof b === "bigint") return bounded(a - b);
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (a instanceof CelDuration && b instanceof CelDuration) return new CelDuration(a.ms - b.ms);
  if (!(a instanceof CelTimestamp)) return undefined;
  if (b instanceof CelTimestamp) return new CelDuration(a.wallMs - b.wallMs);
  return b instanceof CelDuration ? new CelTimestamp(a.wallMs - b.ms) : undefined;
}

function scale(operator: "*" | "/" | "%", a: CelValue, b: CelValue): CelValue | undefined {
  if (typeof a === "number" && typeof b === "number") {
    if (operator === "*") return a * b;
    return operator === "/" ? a / b : undefined;
  }
  if (typeof a !== "bigint" || typeof b !== "bigint") return undefined;
  if (operator === "*") return bounded(a * b);
  if (b === 0n) return undefined;
  return operator === "/" ? bounded(a / b) : a % b;
}

export function apply(
  operator: BinaryOperator,
  a: CelValue | undefined,
  b: CelValue | undefined,
): CelValue | undefined {
  if (a === undefined || b === undefined) return undefined;
  switch (operator) {
    case "==":
      return sameValue(a, b);
    case "!=":
      return !sameValue(a, b);
    case "in":
      return isIn(a, b);
    case "+":
      return add(a, b);
    case "-":
      return subtract(a, b);
    case "*":
    case "/":
    case "%":
      return scale(operator, a, b);
    case "<":
    case "<=":
    case ">":
    case ">=":
      return relation(operator, compareValues(a, b));
  }
}

function relation(operator: "<" | "<=" | ">" | ">=", order: number | undefined) {
  if (order === undefined) return undefined;
  switch (operator) {
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}
