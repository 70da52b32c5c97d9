/** Identities under all names of the mesh's trust domain. */

/** In rules this stands for the mesh's own domain, whatever its name. */
const LOCAL = "cluster.local";

export function expandDomains(
  values: readonly string[],
  trustDomains: readonly string[],
): readonly string[] {
  const all = values.flatMap((value) => (trustDomains.includes(value) ? trustDomains : [value]));
  return [...new Set(all)];
}

/** `domain/ns/<namespace>/sa/<account>` once for each name of the domain; all else as it stands. */
export function withAliases(
  principals: readonly string[],
  trustDomains: readonly string[],
): readonly string[] {
  return principals.flatMap((principal) => {
    const [domain = "", ...rest] = principal.split("/");
    if (rest.length !== 4 || domain === "*") return [principal];
    const known = domain === LOCAL || trustDomains.some((own) => matches(domain, own));
    if (!known) return [principal];
    const renamed = trustDomains.map((own) =>
      matchesSuffix(domain, own) ? principal : [own, ...rest].join("/"),
    );
    return [...new Set(renamed)];
  });
}

/** Either of them may be the pattern. */
function matches(a: string, b: string): boolean {
  return (
    a === b ||
    b === "*" ||
    matchesPrefix(a, b) ||
    matchesPrefix(b, a) ||
    matchesSuffix(a, b) ||
    matchesSuffix(b, a)
  );
}

function matchesPrefix(pattern: string, domain: string): boolean {
  return pattern.endsWith("*") && domain.startsWith(pattern.slice(0, -1));
}

function matchesSuffix(pattern: string, domain: string): boolean {
  return pattern.startsWith("*") && domain.endsWith(pattern.slice(1));
}
