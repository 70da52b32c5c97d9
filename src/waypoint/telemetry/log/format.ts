/** A format string with Envoy's operators, compiled once. */
import type { StreamRecord } from "../record.ts";

export interface Format {
  readonly source: string;
  print(record: StreamRecord): string;
}
