/**
 * The names a query may mean, in the order in which they are tried: as asked, completed as Kubernetes would complete it,
 * and then the same again for the query with a search domain taken off, since the client's resolver may have put it on.
 */
import type { DnsName } from "./name.ts";

export interface CandidateContext {
  readonly clientNamespace: string;
  /** Lower case, without dots at either end. */
  readonly clusterDomain: string;
  /** Lower case, without dots at either end. */
  readonly searchDomains: readonly string[];
}

export interface Candidate {
  /** Lower case. */
  readonly labels: DnsName;
  /** How many labels of the question are left when a search domain was taken off; undefined when none was. */
  readonly keptLabels: number | undefined;
}

/** The search list that Kubernetes gives a pod by default. */
export function kubernetesSearchDomains(namespace: string, clusterDomain: string): string[] {
  return [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
}

/** How a short name is completed, by the number of its labels (wire/ztunnel.md section 7). */
function expansions(name: DnsName, context: CandidateContext): DnsName[] {
  const domain = context.clusterDomain.split(".");
  const service = [...name, "svc", ...domain];
  const inClientNamespace = [...name, context.clientNamespace, "svc", ...domain];
  const endsInSvc = name.at(-1) === "svc";
  switch (name.length) {
    case 1:
      return [inClientNamespace];
    case 2:
      return [service, inClientNamespace];
    case 3:
      return endsInSvc ? [[...name, ...domain], service] : [service];
    case 4:
      return endsInSvc ? [[...name, ...domain]] : [];
    default:
      return [];
  }
}

function endsWith(name: DnsName, suffix: DnsName): boolean {
  const offset = name.length - suffix.length;
  return offset > 0 && suffix.every((label, index) => name[offset + index] === label);
}

/** `name` in lower case. Each candidate comes once, where it first appears. */
export function candidates(name: DnsName, context: CandidateContext): Candidate[] {
  const found = new Map<string, Candidate>();
  const add = (labels: DnsName, keptLabels: number | undefined): void => {
    const key = labels.join(".");
    if (!found.has(key)) found.set(key, { labels, keptLabels });
  };
  const addWithExpansions = (labels: DnsName, keptLabels: number | undefined): void => {
    add(labels, keptLabels);
    for (const expanded of expansions(labels, context)) add(expanded, keptLabels);
  };
  if (name.length === 0) return [];
  addWithExpansions(name, undefined);
  for (const domain of context.searchDomains) {
    const suffix = domain.split(".");
    if (!endsWith(name, suffix)) continue;
    const kept = name.length - suffix.length;
    addWithExpansions(name.slice(0, kept), kept);
  }
  return [...found.values()];
}

/** The hostnames under which a candidate may be stored: itself, then a wildcard for ever more of its labels. */
export function* storedNames(labels: DnsName): Generator<{ hostname: string; wildcard: boolean }> {
  yield { hostname: labels.join("."), wildcard: false };
  if (labels[0] === "*") return;
  for (let index = 1; index < labels.length; index++)
    yield { hostname: `*.${labels.slice(index).join(".")}`, wildcard: true };
}
