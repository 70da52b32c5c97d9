/**
 * Values of expressions. Integers, signed or not, are bigints, so that int and double stay apart as the language wants it.
 * `undefined` stands for an error everywhere: a missing key, types that do not fit, an overflow.
 */

export type CelValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | readonly CelValue[]
  | CelMap
  | CelTimestamp
  | CelDuration;

/** A map, a structure or a group of attributes; values may be made when asked for. */
export abstract class CelMap {
  abstract get(key: CelValue): CelValue | undefined;
  /** Of what can be listed; groups of attributes have none. */
  abstract keys(): readonly CelValue[];

  has(key: CelValue): boolean {
    return this.get(key) !== undefined;
  }
}

export class CelTimestamp {
  readonly wallMs: number;
  constructor(wallMs: number) {
    this.wallMs = wallMs;
  }
}

export class CelDuration {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

/** Made by map literals and from JSON-like structures. */
export class EntryMap extends CelMap {
  readonly #entries: ReadonlyMap<CelValue, CelValue>;

  constructor(entries: ReadonlyMap<CelValue, CelValue>) {
    super();
    this.#entries = entries;
  }

  override get(key: CelValue): CelValue | undefined {
    // Doubles that are whole numbers find integer keys.
    const asInt = typeof key === "number" && Number.isInteger(key) ? BigInt(key) : key;
    return this.#entries.get(asInt);
  }

  override keys(): readonly CelValue[] {
    return [...this.#entries.keys()];
  }
}

/** Attributes by name, each computed when it is asked for. */
export class FieldMap extends CelMap {
  readonly #field: (name: string) => CelValue | undefined;

  constructor(field: (name: string) => CelValue | undefined) {
    super();
    this.#field = field;
  }

  override get(key: CelValue): CelValue | undefined {
    return typeof key === "string" ? this.#field(key) : undefined;
  }

  override keys(): readonly CelValue[] {
    return [];
  }
}

/** JSON-like data as google.protobuf.Struct: all numbers are doubles. */
export function fromJson(value: unknown): CelValue | undefined {
  switch (typeof value) {
    case "boolean":
    case "number":
    case "string":
      return value;
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return value.map((one) => fromJson(one) ?? null);
      return new FieldMapOfJson(value as Readonly<Record<string, unknown>>);
    default:
      return undefined;
  }
}

class FieldMapOfJson extends CelMap {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(fields: Readonly<Record<string, unknown>>) {
    super();
    this.#fields = fields;
  }

  override get(key: CelValue): CelValue | undefined {
    if (typeof key !== "string" || !Object.hasOwn(this.#fields, key)) return undefined;
    return fromJson(this.#fields[key]);
  }

  override keys(): readonly CelValue[] {
    return Object.keys(this.#fields);
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function sameLists(a: readonly CelValue[], b: readonly CelValue[]): boolean {
  return a.length === b.length && a.every((value, index) => sameValue(value, b[index]));
}

function sameMaps(a: CelMap, b: CelMap): boolean {
  const keys = a.keys();
  return (
    keys.length === b.keys().length &&
    keys.every((key) => b.has(key) && sameValue(a.get(key), b.get(key)))
  );
}

/** Values of different kinds are unequal; numbers compare by value. */
export function sameValue(a: CelValue | undefined, b: CelValue | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null)
    // biome-ignore lint/suspicious/noDoubleEquals: bigint and number compare by value
    return isNumeric(a) && isNumeric(b) && a == b;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && sameBytes(a, b);
  if (Array.isArray(a)) return Array.isArray(b) && sameLists(a, b);
  if (a instanceof CelTimestamp) return b instanceof CelTimestamp && a.wallMs === b.wallMs;
  if (a instanceof CelDuration) return b instanceof CelDuration && a.ms === b.ms;
  return a instanceof CelMap && b instanceof CelMap && sameMaps(a, b);
}

export function isNumeric(value: CelValue | undefined): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

function order(a: number | bigint | string | boolean, b: number | bigint | string | boolean) {
  if (a < b) return -1;
  // Neither: one of them is not a number.
  return a > b ? 1 : a >= b ? 0 : undefined;
}

/** Below, at or above 0; undefined when the two have no order. */
export function compareValues(a: CelValue, b: CelValue): number | undefined {
  if (isNumeric(a) && isNumeric(b)) return order(a, b);
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (typeof a === "boolean" && typeof b === "boolean") return order(a, b);
  if (a instanceof CelTimestamp && b instanceof CelTimestamp) return order(a.wallMs, b.wallMs);
  if (a instanceof CelDuration && b instanceof CelDuration) return order(a.ms, b.ms);
  return a instanceof Uint8Array && b instanceof Uint8Array ? compareBytes(a, b) : undefined;
}

/** By code points, not by UTF-16 units. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  for (let at = 0; ; ) {
    const one = a.codePointAt(at);
    const other = b.codePointAt(at);
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1;
    if (one !== other) return one < other ? -1 : 1;
    at += one > 0xffff ? 2 : 1;
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
