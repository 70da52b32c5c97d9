/** `sidecar.istio.io/statsHistogramBuckets` of the pod: prefix of a statistic's name → its buckets' upper limits, as JSON. */

/** Under which the reference's proxy keeps the istio_* metrics. */
const istioStatistics = "istiocustom.";

/** Undefined: the annotation says nothing about the istio_* metrics. */
export function histogramBuckets(
  origin: string,
  annotation: string | undefined,
  problems: string[],
): readonly number[] | undefined {
  if (annotation === undefined) return undefined;
  const object = parsed(annotation);
  if (object === undefined) {
    problems.push(`${origin}: expected a JSON object of lists of numbers`);
    return undefined;
  }
  for (const [prefix, limits] of Object.entries(object)) {
    if (prefix === "" || !istioStatistics.startsWith(prefix)) continue;
    if (isAscending(limits)) return limits;
    problems.push(`${origin}: ${prefix}: expected ascending numbers above 0`);
  }
  return undefined;
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isAscending(limits: unknown): limits is readonly number[] {
  if (!Array.isArray(limits) || limits.length === 0) return false;
  let below = 0;
  for (const limit of limits as readonly unknown[]) {
    if (typeof limit !== "number" || limit <= below) return false;
    below = limit;
  }
  return true;
}
