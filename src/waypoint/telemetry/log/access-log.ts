/** One configured access log: a filter, a format, a sink. */
import type { AccessLog } from "../config.ts";
import type { LineSink } from "../environment.ts";
import type { StreamRecord } from "../record.ts";
import { type Absent, type Format, printFormat } from "./format.ts";
import { type JsonFormat, printJson } from "./json-format.ts";

export type LineFormat =
  /** Brings its own line feed. */
  | { readonly kind: "text"; readonly format: Format; readonly omitEmpty: boolean }
  | { readonly kind: "json"; readonly format: JsonFormat; readonly omitEmpty: boolean };

export type LogFilterTest = (record: StreamRecord) => boolean;

export function printLine(format: LineFormat, record: StreamRecord): string {
  if (format.kind === "json") return `${printJson(format.format, record, format.omitEmpty)}\n`;
  const absent: Absent = format.omitEmpty ? "" : "-";
  return printFormat(format.format, record, absent);
}

/** Without a filter every stream is logged. */
export function accessLog(
  filter: LogFilterTest | undefined,
  format: LineFormat,
  sink: LineSink,
): AccessLog {
  return {
    write: (record) => {
      if (filter === undefined || filter(record)) sink.write(printLine(format, record));
    },
  };
}
