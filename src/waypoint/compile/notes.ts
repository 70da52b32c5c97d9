/**
 * What compiling a resource may say: refuse it with the path of the field, or note that a field was read past because it
 * only decorates. Nothing that changes meaning is ever read past in silence.
 */

import type { Message } from "@bufbuild/protobuf";
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";

/** The resource is refused as a whole and NACKed; the last good one stays. */
export class CompileError extends Error {
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
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

  get decorations(): readonly string[] {
    return [...this.#decorations];
  }
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
  fields: {
    readonly used: readonly string[];
    readonly decorative?: readonly string[];
    readonly unknownDecorative?: readonly number[];
  },
): void {
  const view = reflect(schema, message);
  for (const field of schema.fields) {
    if (!view.isSet(field) || isDefault(field, view.get(field))) continue;
    if (fields.used.includes(field.name)) continue;
    if (fields.decorative?.includes(field.name))
      notes.decorates(at(path, field.name), "has no effect here");
    else throw new CompileError(at(path, field.name), "is not supported");
  }
  for (const unknown of message.$unknown ?? []) {
    if (fields.unknownDecorative?.includes(unknown.no))
      notes.decorates(at(path, `#${unknown.no}`), "has no effect here");
    else
      throw new CompileError(
        at(path, `#${unknown.no}`),
        `is a field that ${schema.typeName} does not have here`,
      );
  }
}

function isDefault(field: DescField, value: unknown): boolean {
  if (field.fieldKind !== "scalar" || field.presence === 1) return false;
  return field.scalar === ScalarType.BOOL && value === false;
}
