/** Access logs as JSON objects: a structure of format strings. */
import type { StreamRecord } from "../record.ts";
import { type Absent, type Format, formatAsJson } from "./format.ts";

export type JsonFormat =
  | { readonly kind: "value"; readonly format: Format }
  /** Numbers, truth values and null of the configuration itself, as JSON text. */
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "object"; readonly fields: readonly (readonly [string, JsonFormat])[] }
  | { readonly kind: "list"; readonly items: readonly JsonFormat[] };

/** Without a line feed. Undefined: nothing is known. */
function print(format: JsonFormat, record: StreamRecord, omit: boolean): string | undefined {
  const absent: Absent = omit ? "" : "-";
  switch (format.kind) {
    case "value":
      return formatAsJson(format.format, record, absent);
    case "literal":
      return format.text;
    case "object":
      return printObject(format.fields, record, omit);
    case "list":
      return printList(format.items, record, omit);
  }
}

function printObject(
  fields: readonly (readonly [string, JsonFormat])[],
  record: StreamRecord,
  omit: boolean,
): string {
  let text = "";
  for (const [key, format] of fields) {
    const value = print(format, record, omit);
    if (value === undefined && omit) continue;
    text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${value ?? "null"}`;
  }
  return `{${text}}`;
}

function printList(items: readonly JsonFormat[], record: StreamRecord, omit: boolean): string {
  const printed: string[] = [];
  for (const item of items) {
    const value = print(item, record, omit);
    if (value !== undefined || !omit) printed.push(value ?? "null");
  }
  return `[${printed.join(",")}]`;
}

/** `omit`: what is not known is left out, instead of null (a value alone) or `-` (inside text). */
export function printJson(format: JsonFormat, record: StreamRecord, omit: boolean): string {
  return print(format, record, omit) ?? "null";
}
