/** When several objects claim one hostname: one winner in each namespace, and one of those is canonical for everybody else. */

import { byAge, groupBy } from "./objects.ts";
import type { ServiceInfo } from "./service-info.ts";

export function selectServices(
  all: readonly ServiceInfo[],
  canonicalOf: (info: ServiceInfo) => ServiceInfo,
): ServiceInfo[] {
  const selected: ServiceInfo[] = [];
  for (const claims of groupBy(all, (info) => info.service.hostname).values()) {
    const winners = [...groupBy(claims, (info) => info.service.namespace).values()].map((group) =>
      group.reduce(better),
    );
    const canonical = winners
      .filter(mayBeCanonical)
      .reduce<ServiceInfo | undefined>(
        (best, info) => (best === undefined ? info : better(best, info)),
        undefined,
      );
    for (const winner of winners)
      selected.push(winner === canonical ? canonicalOf(winner) : winner);
  }
  return selected;
}

/** A Kubernetes service beats everything; among the rest the oldest stands. */
function better(a: ServiceInfo, b: ServiceInfo): ServiceInfo {
  if (a.source.kind !== b.source.kind) return a.source.kind === "Service" ? a : b;
  return byAge(a.source, b.source) <= 0 ? a : b;
}

function mayBeCanonical(info: ServiceInfo): boolean {
  return info.source.kind === "Service" || info.service.visibility !== "Namespace";
}
