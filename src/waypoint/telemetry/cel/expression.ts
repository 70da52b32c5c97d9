/** Expressions over one finished (or still open) stream: filters of access logs, labels of metrics, %CEL(...)%. */
import type { StreamRecord } from "../record.ts";
import { rootNames } from "./attributes.ts";
import { compileNode, MAX_TURNS } from "./compile.ts";
import { parseExpression } from "./parser.ts";
import type { CelValue } from "./value.ts";

export interface Expression {
  readonly source: string;
  /** Names in it that mean nothing here: what hangs on them cannot be evaluated. */
  readonly unknownNames: readonly string[];
  /** Undefined: it cannot be evaluated for this stream (a missing key, types that do not fit). */
  evaluate(record: StreamRecord): CelValue | undefined;
}

/** Throws CelSyntaxError. */
export function compileExpression(source: string): Expression {
  const unknown = new Set<string>();
  const evaluate = compileNode(parseExpression(source), {
    bound: [],
    unbound: (name) => {
      if (!rootNames.has(name)) unknown.add(name);
    },
  });
  return {
    source,
    unknownNames: [...unknown],
    evaluate: (record) => evaluate({ record, bindings: undefined, turns: MAX_TURNS }),
  };
}
