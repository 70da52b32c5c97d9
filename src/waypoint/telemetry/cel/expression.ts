/** A compiled expression over one finished (or still open) stream. */
import type { StreamRecord } from "../record.ts";
import type { CelValue } from "./value.ts";

export interface Expression {
  readonly source: string;
  /** Undefined: it cannot be evaluated for this stream (a missing key, types that do not fit). */
  evaluate(record: StreamRecord): CelValue | undefined;
}
