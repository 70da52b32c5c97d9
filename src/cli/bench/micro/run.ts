/** The functions that every connection or request passes through, each by itself: no process, no network. */
import { balancerCases } from "./balancers.ts";
import { frameCases } from "./frames.ts";
import { type MicroCase, type MicroEffort, type MicroFigure, measure } from "./measure.ts";
import { policyCases } from "./policies.ts";
import { routeCases } from "./routes.ts";

export const microCases: readonly MicroCase[] = [
  ...frameCases,
  ...policyCases,
  ...routeCases,
  ...balancerCases,
];

const efforts = {
  quick: { repetitions: 3, repetitionMs: 20 },
  full: { repetitions: 7, repetitionMs: 100 },
} as const satisfies Record<string, MicroEffort>;

export function runMicro(effort: keyof typeof efforts): readonly MicroFigure[] {
  return microCases.map((each) => measure(each, efforts[effort]));
}
