/** How one configuration turns labels into series: as they are, or through overrides with expressions. */
import { printValue } from "../cel/print.ts";
import type { StreamRecord } from "../record.ts";
import { type Families, MAX_SERIES } from "./families.ts";
import type { Label } from "./labels.ts";
import type { CounterName, HistogramName, MetricName } from "./names.ts";
import type { MetricOverride, MetricOverrides } from "./overrides.ts";
import { type Counter, type Histogram, printLabel } from "./series.ts";

/** A metric with all labels that do not depend on the single request. */
export interface CounterMeter {
  add(amount: number, record: StreamRecord): void;
}

export interface HistogramMeter {
  observe(value: number, record: StreamRecord): void;
}

const dropped: CounterMeter & HistogramMeter = { add: () => undefined, observe: () => undefined };

/** Stands for all values of a label that would be one too many. */
const OVERFLOW = "overflow";

function print(labels: readonly Label[]): string {
  return labels.map(([name, value]) => printLabel(name, value)).join(",");
}

type Piece = string | { readonly label: string; readonly value: (record: StreamRecord) => string };

/** Labels in pieces: text, and what is evaluated for each request. */
function pieces(labels: readonly Label[], { replace, add }: MetricOverride): readonly Piece[] {
  const made: Piece[] = [];
  for (const [label, value] of labels) {
    if (!replace.has(label)) {
      made.push(printLabel(label, value));
      continue;
    }
    const expression = replace.get(label);
    if (expression !== undefined)
      made.push({ label, value: (record) => textOf(expression.evaluate(record)) });
  }
  for (const [label, expression] of add)
    made.push({ label, value: (record) => textOf(expression.evaluate(record)) });
  return made;
}

function textOf(value: Parameters<typeof printValue>[0] | undefined): string {
  return value === undefined ? "unknown" : printValue(value);
}

function printPieces(parts: readonly Piece[], read: (piece: Exclude<Piece, string>) => string) {
  return parts
    .map((part) => (typeof part === "string" ? part : printLabel(part.label, read(part))))
    .join(",");
}

/** Finds the series of a request whose labels depend on it. */
function varying<Series>(
  parts: readonly Piece[],
  family: { readonly size: number; series(labels: string): Series },
): (record: StreamRecord) => Series {
  const overflow = (): Series => family.series(printPieces(parts, () => OVERFLOW));
  const known = new Map<string, Series>();
  return (record) => {
    const labels = printPieces(parts, (part) => part.value(record));
    let series = known.get(labels);
    if (series === undefined) {
      if (family.size >= MAX_SERIES) return overflow();
      series = family.series(labels);
      known.set(labels, series);
    }
    return series;
  };
}

export class Meters {
  readonly #families: Families;
  readonly #overrides: MetricOverrides;

  constructor(families: Families, overrides: MetricOverrides) {
    this.#families = families;
    this.#overrides = overrides;
  }

  counter(name: CounterName, labels: readonly Label[]): CounterMeter {
    const family = this.#families.counter(name);
    const parts = this.#parts(name, labels);
    if (parts === undefined) return dropped;
    if (typeof parts !== "string") {
      const find = varying<Counter>(parts, family);
      return {
        add: (amount, record) => {
          find(record).value += amount;
        },
      };
    }
    // Only what has counted something appears.
    let series: Counter | undefined;
    return {
      add: (amount) => {
        series ??= family.series(parts);
        series.value += amount;
      },
    };
  }

  histogram(name: HistogramName, labels: readonly Label[]): HistogramMeter {
    const family = this.#families.histogram(name);
    const parts = this.#parts(name, labels);
    if (parts === undefined) return dropped;
    if (typeof parts !== "string") {
      const find = varying<Histogram>(parts, family);
      return { observe: (value, record) => family.observe(find(record), value) };
    }
    let series: Histogram | undefined;
    return {
      observe: (value) => {
        series ??= family.series(parts);
        family.observe(series, value);
      },
    };
  }

  /** Text when nothing depends on the request; undefined: the metric is dropped. */
  #parts(name: MetricName, labels: readonly Label[]): string | readonly Piece[] | undefined {
    const override = this.#overrides.get(name);
    if (override === undefined) return print(labels);
    if (override.drop) return undefined;
    const parts = pieces(labels, override);
    return parts.every((part) => typeof part === "string") ? parts.join(",") : parts;
  }
}
