/** How many threads move the bytes (wire/ztunnel.md section 10.1, and where our rule differs); pure arithmetic. */

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

/**
 * What "automatic" takes at most: each thread beyond the first costs 20 to 40 MB and a copy of the mesh's state, and one moves
 * more than the reference's (docs/performance.md).
 */
const MAX_AUTOMATIC = 4;

/**
 * A count or a share is taken as it is. Automatic is the reference's number, but never more than half of the CPUs: with two or
 * fewer, where applications and the kernel's share of every byte need the other one, a second thread was measured to gain nothing.
 */
export function resolveWorkerThreads(setting: WorkerThreads, facts: CpuFacts): number {
  switch (setting.kind) {
    case "count":
      return setting.count;
    case "share":
      return Math.max(1, Math.ceil((facts.cpus * setting.percent) / 100));
    case "auto": {
      const most = Math.min(MAX_AUTOMATIC, Math.max(1, Math.floor(facts.cpus / 2)));
      const wanted =
        facts.limit === undefined
          ? Math.max(Math.ceil(facts.cpus / 4), facts.request ?? 0, 2)
          : Math.max(facts.limit, facts.request ?? 0, 1);
      return Math.min(wanted, most);
    }
  }
}
