/** Samples of several rounds → medians with their spread, and ratios between stacks. Pure. */
import type { MeshContent, RunResult, Sample, StackName, Unit } from "./spec.ts";

export interface Figure {
  readonly load: Sample["load"];
  readonly figure: string;
  readonly unit: Unit;
  /** One a round, in order of size. */
  readonly values: readonly number[];
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

export interface StackFigures {
  readonly stack: StackName;
  readonly variant: string;
  /** The mesh's size where it is not the small one. */
  readonly content?: MeshContent;
  readonly figures: readonly Figure[];
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}

export function summarize(results: readonly RunResult[]): readonly StackFigures[] {
  const stacks = new Map<string, { readonly first: RunResult; readonly samples: Sample[] }>();
  for (const result of results) {
    const key = labelOf(result);
    const known = stacks.get(key);
    if (known === undefined) stacks.set(key, { first: result, samples: [...result.samples] });
    else known.samples.push(...result.samples);
  }
  return [...stacks.values()].map(({ first, samples }) => ({
    stack: first.stack,
    variant: first.variant,
    ...(first.content === undefined ? {} : { content: first.content }),
    figures: figuresOf(samples),
  }));
}

function figuresOf(samples: readonly Sample[]): readonly Figure[] {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = figureKey(sample);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [sample]);
    else group.push(sample);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const values = group.map(({ value }) => value).sort((a, b) => a - b);
    return [
      {
        load: first.load,
        figure: first.figure,
        unit: first.unit,
        values,
        median: median(values),
        lowest: values[0] ?? Number.NaN,
        highest: values[values.length - 1] ?? Number.NaN,
      },
    ];
  });
}

export function figureKey({ load, figure }: { load: string; figure: string }): string {
  return `${load}/${figure}`;
}

export function labelOf({
  stack,
  variant,
}: {
  readonly stack: StackName;
  readonly variant: string;
}): string {
  return variant === "" ? stack : `${stack} (${variant})`;
}

export interface Comparison {
  readonly key: string;
  readonly unit: Unit;
  readonly base: Figure;
  readonly other: Figure;
  /** other : base, of medians. */
  readonly ratio: number;
  /** The ranges of both do not touch: more than what rounds differ by themselves. */
  readonly beyondNoise: boolean;
}

/** What of `other` can be set beside `base`. */
export function compare(base: StackFigures, other: StackFigures): readonly Comparison[] {
  const bases = new Map(base.figures.map((figure) => [figureKey(figure), figure]));
  return other.figures.flatMap((figure) => {
    const from = bases.get(figureKey(figure));
    if (from === undefined || from.median === 0) return [];
    return [
      {
        key: figureKey(figure),
        unit: figure.unit,
        base: from,
        other: figure,
        ratio: figure.median / from.median,
        beyondNoise: figure.lowest > from.highest || figure.highest < from.lowest,
      },
    ];
  });
}
