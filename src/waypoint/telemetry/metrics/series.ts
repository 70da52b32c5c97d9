/** Time series by their labels as printed; a request resolves them once per kind and then only adds to numbers. */

export interface Counter {
  readonly labels: string;
  value: number;
}

export interface Histogram {
  readonly labels: string;
  /** Not cumulative; the last one is for what is above all limits. */
  readonly counts: Float64Array;
  sum: number;
  count: number;
}

/** Envoy's. */
export const defaultBuckets: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];

export class CounterFamily {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly #series = new Map<string, Counter>();

  constructor(name: string, type: "counter" | "gauge" = "counter") {
    this.name = name;
    this.type = type;
  }

  get size(): number {
    return this.#series.size;
  }

  series(labels: string): Counter {
    let found = this.#series.get(labels);
    if (found === undefined) {
      found = { labels, value: 0 };
      this.#series.set(labels, found);
    }
    return found;
  }

  render(): string {
    if (this.#series.size === 0) return "";
    let text = `# TYPE ${this.name} ${this.type}\n`;
    for (const { labels, value } of this.#series.values())
      text += `${this.name}{${labels}} ${value}\n`;
    return text;
  }
}

export class HistogramFamily {
  readonly name: string;
  readonly #limits: readonly number[];
  readonly #series = new Map<string, Histogram>();

  constructor(name: string, limits: readonly number[]) {
    this.name = name;
    this.#limits = limits;
  }

  get size(): number {
    return this.#series.size;
  }

  series(labels: string): Histogram {
    let found = this.#series.get(labels);
    if (found === undefined) {
      found = { labels, counts: new Float64Array(this.#limits.length + 1), sum: 0, count: 0 };
      this.#series.set(labels, found);
    }
    return found;
  }

  observe(series: Histogram, value: number): void {
    const limits = this.#limits;
    let low = 0;
    let high = limits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value <= (limits[middle] ?? 0)) high = middle;
      else low = middle + 1;
    }
    series.counts[low] = (series.counts[low] ?? 0) + 1;
    series.sum += value;
    series.count++;
  }

  render(): string {
    if (this.#series.size === 0) return "";
    let text = `# TYPE ${this.name} histogram\n`;
    for (const series of this.#series.values()) text += this.#renderSeries(series);
    return text;
  }

  #renderSeries({ labels, counts, sum, count }: Histogram): string {
    const { name } = this;
    let text = "";
    let below = 0;
    for (const [index, limit] of this.#limits.entries()) {
      below += counts[index] ?? 0;
      text += `${name}_bucket{${labels}${labels === "" ? "" : ","}le="${limit}"} ${below}\n`;
    }
    text += `${name}_bucket{${labels}${labels === "" ? "" : ","}le="+Inf"} ${count}\n`;
    return `${text}${name}_sum{${labels}} ${sum}\n${name}_count{${labels}} ${count}\n`;
  }
}

const SPECIAL = /["\\\n]/;

export function printLabel(name: string, value: string): string {
  const text = SPECIAL.test(value)
    ? value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')
    : value;
  return `${name}="${text}"`;
}
