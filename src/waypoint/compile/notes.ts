/**
 * What compiling a resource may say: refuse it with the path of the field, or note that a field was read past because it
 * only decorates. Nothing that changes meaning is ever read past in silence.
 */

import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";

/** The resource is refused as a whole and NACKed; the last good one stays. */
export class CompileError extends Error {
  readonly path: string;

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`${path}: ${problem}`, options);
    this.name = "CompileError";
    this.path = path;
  }
}

/** Where we are in a resource, for messages: `filter_chains[0].filters[2].rules`. Plain text, made by `at` and `item`. */
export type Path = string;

export function at(path: Path, field: string): Path {
  return path === "" ? field : `${path}.${field}`;
}

export function item(path: Path, field: string, index: number | string): Path {
  return `${at(path, field)}[${index}]`;
}

/** Collects what was accepted without effect; the config dump lists it. */
export class Notes {
  readonly #decorations = new Set<string>();

  decorates(path: Path, why: string): void {
    this.#decorations.add(`${path}: ${why}`);
  }

  /** Those of a part that was compiled before. */
  add(decorations: readonly string[]): void {
    for (const one of decorations) this.#decorations.add(one);
  }

  get decorations(): readonly string[] {
    return [...this.#decorations];
  }
}

/** What may be said about a message's fields; keep it in a constant of the module, so that its plan is made once. */
export interface FieldRules {
  readonly used: readonly string[];
  readonly decorative?: readonly string[];
  readonly unknownDecorative?: readonly number[];
  /** Numbers of fields newer than the schema that the caller reads itself. */
  readonly unknownUsed?: readonly number[];
}

/**
 * Refuses every set field that is neither `used` nor `decorative`, and every field number that the schema does not know.
 * A field counts as set when it differs from the protobuf default. Names are the protobuf names (snake case).
 */
export function checkFields(
  message: Message,
  schema: DescMessage,
  path: Path,
  notes: Notes,
  rules: FieldRules,
): void {
  const plan = planOf(schema, rules);
  const values = message as unknown as Readonly<Record<string, unknown>>;
  // For a field of a oneof the property is the oneof, and its `case` names the field.
  for (const { property, field, name, decorative } of plan) {
    const value = values[property];
    if (value === undefined) continue;
    if (field.oneof === undefined) {
      if (isDefault(field, value)) continue;
    } else if ((value as { readonly case?: string }).case !== field.localName) continue;
    if (decorative) notes.decorates(at(path, name), "has no effect here");
    else throw new CompileError(at(path, name), "is not supported");
  }
  if (message.$unknown !== undefined) checkUnknown(message.$unknown, schema, path, notes, rules);
}

function checkUnknown(
  unknowns: NonNullable<Message["$unknown"]>,
  schema: DescMessage,
  path: Path,
  notes: Notes,
  rules: FieldRules,
): void {
  for (const { no } of unknowns) {
    if (rules.unknownUsed?.includes(no)) continue;
    if (rules.unknownDecorative?.includes(no))
      notes.decorates(at(path, `#${no}`), "has no effect here");
    else
      throw new CompileError(
        at(path, `#${no}`),
        `is a field that ${schema.typeName} does not have here`,
      );
  }
}

interface UnusedField {
  readonly property: string;
  readonly field: DescField;
  readonly name: string;
  readonly decorative: boolean;
}

const plans = new WeakMap<FieldRules, readonly UnusedField[]>();

/** The fields that must not be set, or only decorate. */
function planOf(schema: DescMessage, rules: FieldRules): readonly UnusedField[] {
  const known = plans.get(rules);
  if (known !== undefined) return known;
  const used = new Set(rules.used);
  const plan = schema.fields
    .filter((field) => !used.has(field.name))
    .map((field) => ({
      property: field.oneof?.localName ?? field.localName,
      field,
      name: field.name,
      decorative: rules.decorative?.includes(field.name) ?? false,
    }));
  plans.set(rules, plan);
  return plan;
}

function isDefault(field: DescField, value: unknown): boolean {
  switch (field.fieldKind) {
    case "message":
      return false;
    case "list":
      return (value as readonly unknown[]).length === 0;
    case "map":
      for (const _ in value as object) return false;
      return true;
    default:
      // An explicit presence means that being there says something.
      if (field.presence === FeatureSet_FieldPresence.EXPLICIT) return false;
      return value instanceof Uint8Array
        ? value.length === 0
        : value === false || value === "" || value === 0 || value === 0n;
  }
}
