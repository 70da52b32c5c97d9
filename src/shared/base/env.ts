/**
 * Settings from the environment: names, defaults and reasons stand in one table, everything is decoded once, and all
 * problems are reported together.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Variable<T> {
  /** The first name that is set wins. */
  readonly names: readonly string[];
  /** Throws RangeError saying what is wrong with the text. */
  readonly parse: (text: string) => T;
  readonly fallback: T;
  /** What the setting does, and why the default is what it is. */
  readonly reason: string;
}

/** One row of a table. */
export function variable<T>(
  name: string | readonly string[],
  parse: (text: string) => T,
  fallback: T,
  reason: string,
): Variable<T> {
  return { names: typeof name === "string" ? [name] : name, parse, fallback, reason };
}

export type VariableTable = Readonly<Record<string, Variable<unknown>>>;

export type Decoded<Table extends VariableTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Variable<infer T> ? T : never;
};

export interface DecodedEnv<Table extends VariableTable> {
  readonly values: Decoded<Table>;
  /** One line a problem; the value of such a variable is its default. */
  readonly problems: readonly string[];
}

export function decodeEnv<Table extends VariableTable>(
  env: Environment,
  table: Table,
): DecodedEnv<Table> {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [key, row] of Object.entries(table)) {
    const name = row.names.find((candidate) => env[candidate] !== undefined);
    const text = name === undefined ? undefined : env[name];
    values[key] = row.fallback;
    if (text === undefined) continue;
    try {
      values[key] = row.parse(text);
    } catch (thrown) {
      if (!(thrown instanceof RangeError)) throw thrown;
      problems.push(`${name}: ${thrown.message}, not ${JSON.stringify(text)}`);
    }
  }
  return { values: values as Decoded<Table>, problems };
}

/** All variables that start with `prefix`, under the rest of their name, sorted by it. */
export function withPrefix(env: Environment, prefix: string): ReadonlyMap<string, string> {
  const found: [string, string][] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && name.startsWith(prefix) && name.length > prefix.length)
      found.push([name.slice(prefix.length), value]);
  }
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function flag(text: string): boolean {
  if (text === "true") return true;
  if (text === "false") return false;
  throw new RangeError("expected true or false");
}

export function anyText(text: string): string {
  return text;
}

/** The empty text counts as not set. */
export function optionalText(text: string): string | undefined {
  return text === "" ? undefined : text;
}

export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw new RangeError(`expected a whole number from ${min} to ${max}`);
    return value;
  };
}

export function oneOf<T extends string>(...choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((choice) => choice === text.toLowerCase());
    if (found === undefined) throw new RangeError(`expected ${choices.join(" or ")}`);
    return found;
  };
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `30s`, `5m`, `1h30m`; the result is in milliseconds. */
export function durationMs(text: string): number {
  if (!/^(\d{1,12}(ns|us|ms|s|m|h|d))+$/.test(text))
    throw new RangeError("expected a duration like 30s or 5m");
  let totalMs = 0;
  for (const [, digits, unit = ""] of text.matchAll(/(\d+)(ns|us|ms|s|m|h|d)/g))
    totalMs += Number(digits) * (unitMs[unit] ?? 0);
  return totalMs;
}
