/** `/debug/why?from=&to=`: explains a connection from the live state, with the newest decisions that fit it. */
import { type AdminHandler, jsonAnswer, textAnswer } from "../../shared/admin/http-server.ts";
import type { MeshStore } from "../../shared/model/store.ts";
import { formatSocketAddress } from "../../shared/net/authority.ts";
import type { IpAddress } from "../../shared/net/ip.ts";
import type { ZtunnelConfig } from "../config.ts";
import { decisionView } from "../proxy/decision-view.ts";
import type { DecisionRecord, DecisionSource } from "../proxy/decisions.ts";
import { illegalPorts } from "../proxy/route.ts";
import type { ResolveHostname } from "../proxy/scope.ts";
import type { WhyContext } from "../why/context.ts";
import { WhyQuestionError } from "../why/find.ts";
import type { WhyRecord } from "../why/record.ts";
import { explainConnection, type WhyQuestion } from "../why.ts";

/** Records of the ring that are looked through, and of those that fit the newest that are shown. */
const MAX_SEARCHED = 10_000;
const MAX_RECENT = 5;

export interface WhySources {
  readonly config: ZtunnelConfig;
  readonly store: MeshStore;
  readonly decisions: DecisionSource;
  readonly resolveHostname?: ResolveHostname;
}

/** Names of one answer that are looked up. */
const MAX_LOOKUPS = 8;

const onDemandCaveat =
  "this node asks the control plane only for what its pods use (XDS_ON_DEMAND): what nobody has used is missing here";

export function whyRoute({ config, store, decisions, resolveHostname }: WhySources): AdminHandler {
  const context: WhyContext = {
    view: store,
    network: config.network,
    clusterDomain: config.clusterDomain,
    preferredNamespace: config.preferredServiceNamespace,
    ipv6Enabled: config.ipv6Enabled,
    illegalPorts: illegalPorts({ socks5: config.socks5 }),
    localhostAppTunnel: config.localhostAppTunnel,
    caveat: config.xdsOnDemand ? onDemandCaveat : undefined,
  };
  /** Explains; where that ends at names, looks them up as a connection would, and explains again. */
  const explain = async (question: WhyQuestion, signal: AbortSignal): Promise<WhyRecord> => {
    const known = new Map<string, readonly IpAddress[]>();
    const missing = new Set<string>();
    const resolved = (hostname: string): readonly IpAddress[] | undefined => {
      const addresses = known.get(hostname);
      if (addresses === undefined) missing.add(hostname);
      return addresses;
    };
    const first = explainConnection({ ...context, resolved }, question);
    if (resolveHostname === undefined || missing.size === 0) return first;
    await Promise.all(
      [...missing]
        .slice(0, MAX_LOOKUPS)
        .map(async (hostname) => known.set(hostname, await resolveHostname(hostname, 4, signal))),
    );
    return explainConnection({ ...context, resolved }, question);
  };
  return async ({ query, signal }) => {
    const from = query.get("from");
    const to = query.get("to");
    if (from === null || to === null)
      return textAnswer(400, "usage: /debug/why?from=<pod or address>&to=<destination>:<port>\n");
    try {
      const record = await explain({ from, to }, signal);
      const recent = (await decisions.latest(MAX_SEARCHED))
        .filter(fits(record))
        .slice(0, MAX_RECENT)
        .map(decisionView);
      return jsonAnswer({ ...record, recent });
    } catch (thrown) {
      if (thrown instanceof WhyQuestionError) return textAnswer(400, `${thrown.message}\n`);
      throw thrown;
    }
  };
}

/** Whether a decision was about such a connection: it came from the source (or from a waypoint for it), and led there. */
function fits(record: WhyRecord): (decision: DecisionRecord) => boolean {
  const { source, name, paths, to } = record;
  const port = to.slice(to.lastIndexOf(":") + 1);
  const sources = new Set<string>(source === null ? [] : [source.address]);
  const destinations = new Set<string>([to]);
  for (const ip of name?.addresses ?? [])
    destinations.add(ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);
  for (const { nextHop, authority, arrival } of paths.flatMap(({ hops }) => hops)) {
    for (const address of [nextHop, authority]) if (address !== null) destinations.add(address);
    if (arrival?.kind === "judged") sources.add(arrival.clientAddress);
  }
  return (decision) => {
    if (!sources.has(decision.source.ip) || decision.destination === undefined) return false;
    return destinations.has(formatSocketAddress(decision.destination));
  };
}
