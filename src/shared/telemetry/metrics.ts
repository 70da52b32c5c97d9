/**
 * Metrics that cost nothing on the data path: a connection resolves its counters once and then only adds to a number.
 * prom-client keeps the families; the body is OpenMetrics text whatever was asked for, as the reference's is
 * (wire/ztunnel.md section 9.2).
 */
import { Histogram, type HistogramConfiguration, type Metric, Registry } from "prom-client";

/** One time series. Add to `value`; a counter only ever grows. */
export interface Series {
  value: number;
}

interface LabelledSeries extends Series {
  readonly labels: Readonly<Record<string, string>>;
}

export interface FamilyOptions {
  readonly name: string;
  /** Without a final period. Families whose name or labels may still change say `unstable`. */
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** Runs before the family is printed: brings its series up to date. */
  readonly collect?: () => void;
}

/** What a family hands out to be printed; prom-client's own have the same shape. */
interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Partial<Record<string, string | number>>>;
    /** Histograms: the name with its suffix. */
    readonly metricName?: string;
  }[];
}

/** The numbers of a family at one moment; label values in the order of the label names. */
export interface FamilySnapshot {
  readonly name: string;
  readonly series: readonly { readonly labels: readonly string[]; readonly value: number }[];
}

/** Counters or gauges of one name. Series appear when they are first asked for and stay. */
export class SeriesFamily {
  readonly name: string;
  readonly #kind: "counter" | "gauge";
  readonly #options: FamilyOptions;
  readonly #series = new Map<string, LabelledSeries>();
  /** What others have counted, by who they are: added to our own wherever labels are equal. */
  #others: Map<string, FamilySnapshot["series"]> | undefined;

  constructor(kind: "counter" | "gauge", options: FamilyOptions) {
    this.name = options.name;
    this.#kind = kind;
    this.#options = options;
  }

  /** The series of these label values, in the order of the label names. Keep it; looking it up is the costly part. */
  series(...values: readonly string[]): Series {
    const key = values.join("\u0000");
    let found = this.#series.get(key);
    if (found === undefined) {
      found = { value: 0, labels: this.#labelled(values) };
      this.#series.set(key, found);
    }
    return found;
  }

  /** Our own numbers, for the registry of another thread. */
  snapshot(): FamilySnapshot {
    this.#options.collect?.();
    const series = [...this.#series.values()].map(({ labels, value }) => ({
      labels: Object.values(labels),
      value,
    }));
    return { name: this.name, series };
  }

  /** What somebody else has counted, in place of what he had told before. */
  absorb(source: string, { series }: FamilySnapshot): void {
    this.#others ??= new Map();
    this.#others.set(source, series);
  }

  /** prom-client's collection interface. */
  get(): Promise<Family> {
    this.#options.collect?.();
    return Promise.resolve({
      name: this.name,
      help: this.#options.help,
      type: this.#kind,
      values: this.#others === undefined ? [...this.#series.values()] : this.#sums(this.#others),
    });
  }

  #sums(others: ReadonlyMap<string, FamilySnapshot["series"]>): LabelledSeries[] {
    const sums = new Map<string, LabelledSeries>();
    for (const [key, series] of this.#series) sums.set(key, { ...series });
    for (const { labels, value } of [...others.values()].flat()) {
      const key = labels.join("\u0000");
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, { value, labels: this.#labelled(labels) });
      else sum.value += value;
    }
    return [...sums.values()];
  }

  #labelled(values: readonly string[]): Readonly<Record<string, string>> {
    const names = this.#options.labelNames ?? [];
    if (names.length !== values.length)
      throw new RangeError(`${this.name} has ${names.length} labels, not ${values.length}`);
    return Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""]));
  }

  reset(): void {
    this.#series.clear();
  }
}

const contentTypes = {
  plain: "text/plain; charset=utf-8",
  openMetrics: "application/openmetrics-text;charset=utf-8;version=1.0.0",
} as const;

/** The content type to announce for a request's Accept header; the body is the same. */
export function metricsContentType(accept: string | undefined): string {
  return accept?.includes("application/openmetrics-text") === true
    ? contentTypes.openMetrics
    : contentTypes.plain;
}

function escapeLabel(value: string | number): string {
  const text = String(value);
  return /["\\\n]/.test(text)
    ? text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')
    : text;
}

function printFamily(family: Family): string {
  let text = `# HELP ${family.name} ${family.help}.\n# TYPE ${family.name} ${String(family.type)}\n`;
  for (const { value, labels, metricName } of family.values) {
    const name = metricName ?? (family.type === "counter" ? `${family.name}_total` : family.name);
    const pairs = Object.entries(labels).map(
      ([key, text]) => `${key}="${escapeLabel(text ?? "")}"`,
    );
    text += `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  }
  return text;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #families = new Map<string, SeriesFamily>();
  readonly #beforeRender = new Set<() => void | Promise<void>>();

  counter(options: FamilyOptions): SeriesFamily {
    return this.#register(new SeriesFamily("counter", options));
  }

  gauge(options: FamilyOptions): SeriesFamily {
    return this.#register(new SeriesFamily("gauge", options));
  }

  histogram<L extends string>(options: Omit<HistogramConfiguration<L>, "registers">): Histogram<L> {
    return new Histogram({ ...options, registers: [this.#registry] });
  }

  /** Runs before each rendering; returns the way to stop. For numbers that are cheaper to fetch than to keep current. */
  beforeRender(refresh: () => void | Promise<void>): () => void {
    this.#beforeRender.add(refresh);
    return () => this.#beforeRender.delete(refresh);
  }

  /** All families that have samples, closed by `# EOF`. */
  async render(): Promise<string> {
    await this.#refresh();
    const families: readonly Family[] = await this.#registry.getMetricsAsJSON();
    const printed = families.filter((family) => family.values.length > 0).map(printFamily);
    return `${printed.join("")}# EOF\n`;
  }

  /** All counters and gauges as plain data. */
  async snapshot(): Promise<readonly FamilySnapshot[]> {
    await this.#refresh();
    return [...this.#families.values()]
      .map((family) => family.snapshot())
      .filter(({ series }) => series.length > 0);
  }

  /** Counts what the registry of somebody else had counted at its last snapshot as well. */
  absorb(source: string, families: readonly FamilySnapshot[]): void {
    for (const family of families) {
      const own = this.#families.get(family.name);
      if (own === undefined) throw new RangeError(`no metric family ${family.name}`);
      own.absorb(source, family);
    }
  }

  async #refresh(): Promise<void> {
    await Promise.all([...this.#beforeRender].map((refresh) => refresh()));
  }

  #register(family: SeriesFamily): SeriesFamily {
    this.#families.set(family.name, family);
    // A registry needs no more of a metric than its name, get and reset.
    this.#registry.registerMetric(family as unknown as Metric);
    return family;
  }
}
