/**
 * Parts of Envoy's names of stats that become labels, as the reference's bootstrap says: dashboards and its documentation of dry
 * runs ask for `envoy_http_rbac{authz_dry_run_action="deny",authz_dry_run_result="denied"}`.
 */

interface Tag {
  readonly label: string;
  /** The first group is taken out of the name, the second is the value. */
  readonly pattern: RegExp;
}

/** By label, the order in which Envoy prints them. */
const tags: readonly Tag[] = [
  { label: "authz_dry_run_action", pattern: /(\.istio_dry_run_(allow|deny)_)/d },
  { label: "authz_dry_run_result", pattern: /(\.shadow_(allowed|denied))/d },
  { label: "authz_enforce_result", pattern: /rbac(\.(allowed|denied))/d },
  { label: "http_conn_manager_prefix", pattern: /^http\.(([\w.:[\]]*);\.)/d },
  { label: "tcp_prefix", pattern: /^tcp\.((.*?)\.)\w+$/d },
];

export interface TaggedStat {
  readonly name: string;
  /** With braces; empty without any. */
  readonly labels: string;
}

export function tagged(stat: string): TaggedStat {
  const labels: string[] = [];
  // Patterns look at the whole name, so what they take out may overlap.
  const kept = [...stat];
  for (const { label, pattern } of tags) {
    const match = pattern.exec(stat);
    const [start, end] = match?.indices?.[1] ?? [0, 0];
    if (match === null) continue;
    labels.push(`${label}="${match[2] ?? ""}"`);
    kept.fill("", start, end);
  }
  if (labels.length === 0) return { name: stat, labels: "" };
  return { name: kept.join("").replace(/\.$/, ""), labels: `{${labels.join(",")}}` };
}
