/**
 * The rules of the node itself, as data: what the kubelet sends to a captured pod gets an address that the pod's own rules
 * let through (wire/ztunnel.md section 3.7, last part). Without it a STRICT policy would fail the probes of healthy pods.
 */
import { familyOf, type IpAddress } from "../../shared/net/ip.ts";
import { PROBE_ADDRESS_V4, PROBE_ADDRESS_V6 } from "./rules.ts";

const HOST_TABLE_NAME = "ambit-host";

export interface HostRules {
  /** Addresses of the captured pods of this node. */
  readonly pods: readonly IpAddress[];
  /** User that the prober runs as; undefined takes every program of the node for it. */
  readonly proberUid: number | undefined;
}

/** A script that puts these rules in place of whatever the table holds, in one transaction. */
export function hostScript(rules: HostRules): string {
  const sets = ([4, 6] as const).map((family) => setText(rules, family)).join("");
  return `${removeHostScript()}table inet ${HOST_TABLE_NAME} {
${sets}  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    meta l4proto tcp ${prober(rules)} ip daddr @probes-v4 snat ip to ${PROBE_ADDRESS_V4}
    meta l4proto tcp ${prober(rules)} ip6 daddr @probes-v6 snat ip6 to ${PROBE_ADDRESS_V6}
  }
}
`;
}

/** A script that leaves no table, whether there was one or not. */
export function removeHostScript(): string {
  return `add table inet ${HOST_TABLE_NAME}\ndelete table inet ${HOST_TABLE_NAME}\n`;
}

/** Any user at all still means that the packet has a socket here: what the node only forwards never matches. */
function prober({ proberUid }: HostRules): string {
  return proberUid === undefined ? "meta skuid >= 0" : `meta skuid ${proberUid}`;
}

function setText(rules: HostRules, family: 4 | 6): string {
  const members = rules.pods.filter((ip) => familyOf(ip) === family).sort();
  const elements = members.length === 0 ? "" : `    elements = { ${members.join(", ")} }\n`;
  return `  set probes-v${family} {\n    type ipv${family}_addr\n${elements}  }\n`;
}
