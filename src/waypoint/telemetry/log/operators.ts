/** The operators of format strings by name (wire/waypoint.md section 7.4 and Envoy's list). */
import { httpOperators } from "./http-operators.ts";
import type { OperatorMaker, OperatorTable } from "./operator-kinds.ts";
import { stateOperators } from "./state-operators.ts";
import { streamOperators } from "./stream-operators.ts";

const tables: readonly OperatorTable[] = [streamOperators, httpOperators, stateOperators];

export function operatorMaker(name: string): OperatorMaker | undefined {
  for (const table of tables) if (Object.hasOwn(table, name)) return table[name];
  return undefined;
}

export const operatorNames: readonly string[] = tables.flatMap((table) => Object.keys(table));
