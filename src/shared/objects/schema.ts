/**
 * Decoders that are types at the same time: one description of an object's fields checks a value that came from YAML or
 * JSON, names every problem with its path, and gives the decoded value its TypeScript type. Unknown fields are problems,
 * because a misspelt field in a policy is a policy that says something else.
 */

export type PathStep = string | number;
export type Path = readonly PathStep[];

export interface Problem {
  readonly path: Path;
  readonly reason: string;
}

/** Collects every problem of a value instead of stopping at the first one. */
export interface Schema<T> {
  /** Undefined when the value was refused; the problems then say why. */
  readonly decode: (value: unknown, path: Path, problems: Problem[]) => T | undefined;
}

export type Infer<S> = S extends Schema<infer T> ? T : never;

/** How a field of an object may be absent. YAML's null counts as absent, as it does for an API server. */
type Field<T> =
  | { readonly presence: "required"; readonly schema: Schema<T> }
  | { readonly presence: "optional"; readonly schema: Schema<T> }
  | { readonly presence: "defaulted"; readonly schema: Schema<T>; readonly value: T };

type Fields = Readonly<Record<string, Field<unknown>>>;
type FieldType<F> = F extends { readonly schema: Schema<infer T> } ? T : never;
type OptionalNames<F> = {
  [K in keyof F]: F[K] extends { readonly presence: "optional" } ? K : never;
}[keyof F];
type ObjectType<F> = { readonly [K in Exclude<keyof F, OptionalNames<F>>]: FieldType<F[K]> } & {
  readonly [K in OptionalNames<F>]?: FieldType<F[K]>;
};

export function required<T>(schema: Schema<T>) {
  return { presence: "required", schema } as const;
}

export function optional<T>(schema: Schema<T>) {
  return { presence: "optional", schema } as const;
}

export function defaulted<T>(schema: Schema<T>, value: T) {
  return { presence: "defaulted", schema, value } as const;
}

function scalar<T>(what: string, accepts: (value: unknown) => value is T): Schema<T> {
  return {
    decode: (value, path, problems) => {
      if (accepts(value)) return value;
      problems.push({ path, reason: `must be ${what}, found ${describe(value)}` });
      return undefined;
    },
  };
}

export const string = scalar("a string", (value) => typeof value === "string");
export const boolean = scalar("true or false", (value) => typeof value === "boolean");
/** Taken as it is: parts that this program does not look into. */
export const anything: Schema<unknown> = { decode: (value) => value };

export function integer(min: number, max: number): Schema<number> {
  return scalar(
    `an integer from ${min} to ${max}`,
    (value): value is number =>
      Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
  );
}

export const port = integer(1, 65535);

/** A port by number or by name. */
export const portOrName = scalar(
  "a port number or name",
  (value): value is number | string =>
    typeof value === "string" ||
    (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65535),
);

export function oneOf<const T extends string>(...values: readonly T[]): Schema<T> {
  return scalar(`one of ${values.join(", ")}`, (value): value is T =>
    values.some((candidate) => candidate === value),
  );
}

export function list<T>(item: Schema<T>): Schema<readonly T[]> {
  return {
    decode: (value, path, problems) => {
      if (!Array.isArray(value)) {
        problems.push({ path, reason: `must be a list, found ${describe(value)}` });
        return undefined;
      }
      const items: T[] = [];
      value.forEach((element: unknown, index) => {
        const decoded = item.decode(element, [...path, index], problems);
        if (decoded !== undefined) items.push(decoded);
      });
      return items;
    },
  };
}

export function record<T>(item: Schema<T>): Schema<Readonly<Record<string, T>>> {
  return {
    decode: (value, path, problems) => {
      if (!isRecord(value)) {
        problems.push({ path, reason: `must be a map, found ${describe(value)}` });
        return undefined;
      }
      const entries: [string, T][] = [];
      for (const [key, element] of Object.entries(value)) {
        const decoded = item.decode(element, [...path, key], problems);
        if (decoded !== undefined) entries.push([key, decoded]);
      }
      return Object.fromEntries(entries);
    },
  };
}

export interface ObjectOptions {
  /** Fields that exist but do not matter here. */
  readonly ignored?: readonly string[];
  /** Status written by a server of any version: fields we do not know are no mistake of the user. */
  readonly open?: boolean;
}

export function object<F extends Fields>(
  fields: F,
  options: ObjectOptions = {},
): Schema<ObjectType<F>> {
  const ignored = new Set(options.ignored);
  return {
    decode: (value, path, problems) => {
      if (!isRecord(value)) {
        problems.push({ path, reason: `must be a map, found ${describe(value)}` });
        return undefined;
      }
      const before = problems.length;
      if (options.open !== true) refuseUnknown(value, fields, ignored, path, problems);
      const decoded = decodeFields(fields, value, path, problems);
      return problems.length === before ? (decoded as ObjectType<F>) : undefined;
    },
  };
}

function decodeFields(
  fields: Fields,
  value: Readonly<Record<string, unknown>>,
  path: Path,
  problems: Problem[],
): Readonly<Record<string, unknown>> {
  const decoded: Record<string, unknown> = {};
  for (const name in fields) {
    const field = fields[name];
    if (field === undefined) continue;
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    const result = decodeField(field, given, [...path, name], problems);
    if (result !== undefined) decoded[name] = result;
  }
  return decoded;
}

function decodeField(
  field: Field<unknown>,
  value: unknown,
  path: Path,
  problems: Problem[],
): unknown {
  if (value !== undefined && value !== null) return field.schema.decode(value, path, problems);
  if (field.presence === "defaulted") return field.value;
  if (field.presence === "required") problems.push({ path, reason: "is required" });
  return undefined;
}

function refuseUnknown(
  value: Readonly<Record<string, unknown>>,
  fields: Fields,
  ignored: ReadonlySet<string>,
  path: Path,
  problems: Problem[],
): void {
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(fields, name) && !ignored.has(name))
      problems.push({ path: [...path, name], reason: "unknown field" });
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  return JSON.stringify(value);
}

/** `spec.rules[0].to[1].operation` */
export function pathText(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else
      text += /^[A-Za-z0-9_-]+$/.test(step)
        ? `${text === "" ? "" : "."}${step}`
        : `[${JSON.stringify(step)}]`;
  }
  return text;
}
