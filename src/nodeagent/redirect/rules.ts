/**
 * The redirection of one pod as data, and that data as a script for `nft -f -` (wire/ztunnel.md section 3.7).
 *
 * Everything stands in one table of our own inside the pod's namespace, and a script replaces that table as a whole: the kernel
 * takes it over in one transaction, so there is no moment with half of the rules, and applying twice changes nothing.
 *
 * One deviation from the reference: only packets that open a TCP connection (SYN) are redirected. A namespace without NAT
 * rules does not track connections; once ours are in place the kernel meets connections that have long been open, takes
 * their next packet for a new connection and would redirect it into the void. With the SYN test they live on untouched.
 */

export interface RedirectionOptions {
  /** DNS queries go to the ztunnel. */
  readonly captureDns: boolean;
  /** False for gateways that take plain traffic themselves (`ambient.istio.io/bypass-inbound-capture`). */
  readonly captureInbound: boolean;
  /** Interfaces of virtual machines in the pod whose traffic counts as the pod's own outgoing traffic. */
  readonly virtualInterfaces: readonly string[];
}

export interface NftChain {
  readonly name: string;
  readonly type: "filter" | "nat" | "route";
  readonly hook: "prerouting" | "output";
  /** The number that iptables gives to the table of this name. */
  readonly priority: number;
  readonly rules: readonly string[];
}

export const TABLE_NAME = "ambit";

const OUTBOUND_PORT = 15001;
const INBOUND_PLAINTEXT_PORT = 15006;
const HBONE_PORT = 15008;
const DNS_PORT = 15053;

/** Sockets of the ztunnel carry this mark, under the mask. */
const PROXY_MARK = "0x539";
/** Connections that the ztunnel opened with a client's address; their answers must come back to it. */
const RETURN_MARK = "0x111";
const MARK_MASK = "0xfff";
const KEEP_REST = "0xfffff000";

/** The source address of the kubelet's probes, see host-rules.ts. */
export const PROBE_ADDRESS_V4 = "169.254.7.127";
export const PROBE_ADDRESS_V6 = "fd16:9254:7127:1337:ffff:ffff:ffff:ffff";

const fromProxy = `meta mark & ${MARK_MASK} == ${PROXY_MARK}`;
const notFromProxy = `meta mark & ${MARK_MASK} != ${PROXY_MARK}`;
const opening = "tcp flags & (fin | syn | rst | ack) == syn";

const families = [
  {
    loopback: "ip daddr != 127.0.0.1",
    probeSource: `ip saddr ${PROBE_ADDRESS_V4}`,
    probeTarget: `ip daddr ${PROBE_ADDRESS_V4}`,
  },
  {
    loopback: "ip6 daddr != ::1",
    probeSource: `ip6 saddr ${PROBE_ADDRESS_V6}`,
    probeTarget: `ip6 daddr ${PROBE_ADDRESS_V6}`,
  },
] as const;

/** All chains of a pod in the mesh. The order of rules within a chain is the order of the reference's table. */
export function redirectionChains(options: RedirectionOptions): readonly NftChain[] {
  return [
    ...markChains(),
    { ...natPrerouting, rules: natPreroutingRules(options) },
    { ...natOutput, rules: natOutputRules(options) },
    ...(options.captureDns ? dnsZoneChains() : []),
  ];
}

/**
 * The chains of a pod on its way out: new connections go direct, while those that run through the ztunnel keep their marks
 * and their translation. The translation lives only as long as a NAT chain exists, so the chains stay, empty.
 */
export function releasedChains(): readonly NftChain[] {
  return [...markChains(), { ...natPrerouting, rules: [] }, { ...natOutput, rules: [] }];
}

const natPrerouting = {
  name: "nat-prerouting",
  type: "nat",
  hook: "prerouting",
  priority: -100,
} as const;
const natOutput = { name: "nat-output", type: "nat", hook: "output", priority: -100 } as const;

function markChains(): NftChain[] {
  return [
    {
      name: "mangle-prerouting",
      type: "filter",
      hook: "prerouting",
      priority: -150,
      rules: [`${fromProxy} ct mark set ct mark & ${KEEP_REST} | ${RETURN_MARK}`],
    },
    {
      name: "mangle-output",
      type: "route",
      hook: "output",
      priority: -150,
      rules: [`ct mark & ${MARK_MASK} == ${RETURN_MARK} meta mark set ct mark`],
    },
  ];
}

function natPreroutingRules(options: RedirectionOptions): string[] {
  const rules = options.virtualInterfaces.flatMap((name) => [
    `iifname "${name}" ${opening} redirect to :${OUTBOUND_PORT}`,
    `iifname "${name}" return`,
  ]);
  if (!options.captureInbound) return rules;
  for (const { probeSource } of families) rules.push(`${probeSource} meta l4proto tcp accept`);
  for (const { loopback } of families)
    rules.push(
      `${loopback} tcp dport != ${HBONE_PORT} ${opening} ${notFromProxy} redirect to :${INBOUND_PLAINTEXT_PORT}`,
    );
  return rules;
}

function natOutputRules(options: RedirectionOptions): string[] {
  const rules: string[] = families.map(
    ({ probeTarget }) => `${probeTarget} meta l4proto tcp accept`,
  );
  if (options.captureDns) {
    rules.push(`oifname != "lo" udp dport 53 ${notFromProxy} redirect to :${DNS_PORT}`);
    for (const { loopback } of families)
      rules.push(`${loopback} tcp dport 53 ${opening} ${notFromProxy} redirect to :${DNS_PORT}`);
  }
  rules.push(`meta l4proto tcp meta mark & ${MARK_MASK} == ${RETURN_MARK} accept`);
  // The pod that talks to itself is left alone.
  for (const { loopback } of families) rules.push(`oifname "lo" ${loopback} accept`);
  for (const { loopback } of families)
    rules.push(`${loopback} ${opening} ${notFromProxy} redirect to :${OUTBOUND_PORT}`);
  return rules;
}

/**
 * The ztunnel's own DNS queries get a connection tracking zone of their own, so that they cannot be taken for the
 * application's redirected query with the same addresses and ports.
 */
function dnsZoneChains(): NftChain[] {
  return [
    {
      name: "raw-prerouting",
      type: "filter",
      hook: "prerouting",
      priority: -300,
      rules: [`udp sport 53 ${notFromProxy} ct zone set 1`],
    },
    {
      name: "raw-output",
      type: "filter",
      hook: "output",
      priority: -300,
      rules: [`udp dport 53 ${fromProxy} ct zone set 1`],
    },
  ];
}

/** A script that puts these chains in place of whatever the table holds, in one transaction. */
export function replaceScript(chains: readonly NftChain[]): string {
  const body = chains.map(chainText).join("\n");
  return `${removeScript()}table inet ${TABLE_NAME} {\n${body}}\n`;
}

/** A script that leaves no table, whether there was one or not. */
export function removeScript(): string {
  return `add table inet ${TABLE_NAME}\ndelete table inet ${TABLE_NAME}\n`;
}

function chainText(chain: NftChain): string {
  const head = `type ${chain.type} hook ${chain.hook} priority ${chain.priority}; policy accept;`;
  const lines = [head, ...chain.rules].map((line) => `    ${line}\n`).join("");
  return `  chain ${chain.name} {\n${lines}  }\n`;
}

/** Answers to the ztunnel's spoofed connections are delivered here instead of leaving the pod. */
const ROUTE_TABLE = 100;
const RULE_PREFERENCE = 32764;

/** For `ip -4 -batch` and `ip -6 -batch`. Adding what is there already is an error that the caller expects. */
export const routingAddBatch = [
  `rule add fwmark ${RETURN_MARK}/${MARK_MASK} pref ${RULE_PREFERENCE} lookup ${ROUTE_TABLE}`,
  `route replace local default dev lo table ${ROUTE_TABLE}`,
  "",
].join("\n");

/** Removing what is gone already is an error that the caller expects. */
export const routingRemoveBatch = [
  `rule del fwmark ${RETURN_MARK}/${MARK_MASK} pref ${RULE_PREFERENCE} lookup ${ROUTE_TABLE}`,
  `route del local default dev lo table ${ROUTE_TABLE}`,
  "",
].join("\n");
