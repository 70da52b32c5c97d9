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

/** Counters or gauges of one name. Series appear when they are first asked for and stay. */
export class SeriesFamily {
  readonly name: string;
  readonly #kind: "counter" | "gauge";
  readonly #options: FamilyOptions;
  readonly #series = new Map<string, LabelledSeries>();

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
      const names = this.#options.labelNames ?? [];
      if (names.length !== values.length)
        throw new RangeError(`${this.name} has ${names.length} labels, not ${values.length}`);
      found = {
        value: 0,
        labels: Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""])),
      };
      this.#series.set(key, found);
    }
    return found;
  }

  /** prom-client's collection interface. */
  get(): Promise<Family> {
    this.#options.collect?.();
    return Promise.resolve({
      name: this.name,
      help: this.#options.help,
      type: this.#kind,
      values: [...this.#series.values()],
    });
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
  readonly #beforeRender = new Set<() => void>();

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
  beforeRender(refresh: () => void): () => void {
    this.#beforeRender.add(refresh);
    return () => this.#beforeRender.delete(refresh);
  }

  /** All families that have samples, closed by `# EOF`. */
  async render(): Promise<string> {
    for (const refresh of this.#beforeRender) refresh();
    const families: readonly Family[] = await this.#registry.getMetricsAsJSON();
    const printed = families.filter((family) => family.values.length > 0).map(printFamily);
    return `${printed.join("")}# EOF\n`;
  }

  #register(family: SeriesFamily): SeriesFamily {
    // A registry needs no more of a metric than its name, get and reset.
    this.#registry.registerMetric(family as unknown as Metric);
    return family;
  }
}
