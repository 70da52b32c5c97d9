/** A format string with Envoy's operators, compiled once and printed for every stream. */
import type { StreamRecord } from "../record.ts";

/** One `%...%`. */
export interface Operator {
  /** Undefined: nothing is known; prints as `-` or not at all. */
  text(record: StreamRecord): string | undefined;
  /** The value as JSON, where it is not a string. */
  json?(record: StreamRecord): string | undefined;
}

export type Part = string | Operator;

export interface Format {
  readonly source: string;
  readonly parts: readonly Part[];
}

/** What stands for a value that is not known. */
export type Absent = "-" | "";

export function printFormat({ parts }: Format, record: StreamRecord, absent: Absent): string {
  let line = "";
  for (const part of parts) line += typeof part === "string" ? part : (part.text(record) ?? absent);
  return line;
}

/** A format that is one operator gives its value with its type; undefined: null. */
export function formatAsJson(
  { parts }: Format,
  record: StreamRecord,
  absent: Absent,
): string | undefined {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && typeof only !== "string") {
    if (only.json !== undefined) return only.json(record);
    const text = only.text(record);
    return text === undefined ? undefined : JSON.stringify(text);
  }
  return JSON.stringify(printFormat({ source: "", parts }, record, absent));
}
