/** All families of the reference's metrics; one object for the process. */
import { type CounterName, type HistogramName, histogramNames, metricNames } from "./names.ts";
import { CounterFamily, defaultBuckets, HistogramFamily, printLabel } from "./series.ts";

/** Labels of the configuration's own may take any value a client sends: beyond this many series they do not anymore. */
export const MAX_SERIES = 20_000;

export class Families {
  readonly #counters = new Map<CounterName, CounterFamily>();
  readonly #histograms = new Map<HistogramName, HistogramFamily>();
  readonly #build = new CounterFamily("istio_build", "gauge");

  constructor(istioVersion: string, buckets: readonly number[] = defaultBuckets) {
    const isHistogram: ReadonlySet<string> = new Set(histogramNames);
    for (const name of metricNames)
      if (!isHistogram.has(name))
        this.#counters.set(name as CounterName, new CounterFamily(`istio_${name}`));
    for (const name of histogramNames)
      this.#histograms.set(name, new HistogramFamily(`istio_${name}`, buckets));
    const tag = printLabel("tag", istioVersion === "" ? "unknown" : istioVersion);
    this.#build.series(`${printLabel("component", "proxy")},${tag}`).value = 1;
  }

  counter(name: CounterName): CounterFamily {
    const family = this.#counters.get(name);
    if (family === undefined) throw new RangeError(`${name} is not a counter`);
    return family;
  }

  histogram(name: HistogramName): HistogramFamily {
    const family = this.#histograms.get(name);
    if (family === undefined) throw new RangeError(`${name} is not a histogram`);
    return family;
  }

  /** Prometheus' text format, without an end mark. */
  render(): string {
    const all = [this.#build, ...this.#counters.values(), ...this.#histograms.values()];
    return all.map((family) => family.render()).join("");
  }
}
