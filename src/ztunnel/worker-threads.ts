/** How many data-path threads the reference would run (wire/ztunnel.md section 10.1); pure arithmetic. */

export type WorkerThreads =
  | { readonly kind: "auto" }
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "share"; readonly percent: number };

/** `4`, `50%`, or `0` for one thread a CPU. */
export function parseWorkerThreads(text: string): WorkerThreads {
  if (text === "") return { kind: "auto" };
  if (/^\d{1,4}$/.test(text)) {
    const count = Number(text);
    return count === 0 ? { kind: "share", percent: 100 } : { kind: "count", count };
  }
  const share = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text);
  const percent = Number(share?.[1] ?? Number.NaN);
  if (!(percent > 0 && percent <= 100))
    throw new RangeError("expected a count, or a share from above 0% to 100%");
  return { kind: "share", percent };
}

/** Kubernetes CPU quantity (`2`, `1.5`, `500m`) in whole CPUs, rounded up. */
export function parseCpuQuantity(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,9})?)(m?)$/.exec(text);
  if (match === null) throw new RangeError("expected a CPU quantity like 2 or 500m");
  return Math.ceil(Number(match[1]) / (match[2] === "m" ? 1000 : 1));
}

export interface CpuFacts {
  readonly cpus: number;
  readonly limit: number | undefined;
  readonly request: number | undefined;
}

export function resolveWorkerThreads(setting: WorkerThreads, facts: CpuFacts): number {
  switch (setting.kind) {
    case "count":
      return setting.count;
    case "share":
      return Math.max(1, Math.ceil((facts.cpus * setting.percent) / 100));
    case "auto":
      return facts.limit === undefined
        ? Math.max(Math.ceil(facts.cpus / 4), facts.request ?? 0, 2)
        : Math.max(facts.limit, facts.request ?? 0, 1);
  }
}
