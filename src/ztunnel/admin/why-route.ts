/** `/debug/why?from=&to=`: explains a connection from the live state, with the newest decisions that fit it. */
import { type AdminHandler, jsonAnswer, textAnswer } from "../../shared/admin/http-server.ts";
import type { MeshStore } from "../../shared/model/store.ts";
import { formatSocketAddress } from "../../shared/net/authority.ts";
import type { ZtunnelConfig } from "../config.ts";
import { decisionView } from "../proxy/decision-view.ts";
import type { DecisionRecord, DecisionRing } from "../proxy/decisions.ts";
import { illegalPorts } from "../proxy/route.ts";
import type { WhyContext } from "../why/context.ts";
import { WhyQuestionError } from "../why/find.ts";
import type { WhyRecord } from "../why/record.ts";
import { explainConnection } from "../why.ts";

/** Records of the ring that are looked through, and of those that fit the newest that are shown. */
const MAX_SEARCHED = 10_000;
const MAX_RECENT = 5;

export interface WhySources {
  readonly config: ZtunnelConfig;
  readonly store: MeshStore;
  readonly decisions: DecisionRing;
}

export function whyRoute({ config, store, decisions }: WhySources): AdminHandler {
  const context: WhyContext = {
    view: store,
    network: config.network,
    clusterDomain: config.clusterDomain,
    preferredNamespace: config.preferredServiceNamespace,
    ipv6Enabled: config.ipv6Enabled,
    illegalPorts: illegalPorts({ socks5: config.socks5 }),
    localhostAppTunnel: config.localhostAppTunnel,
  };
  return ({ query }) => {
    const from = query.get("from");
    const to = query.get("to");
    if (from === null || to === null)
      return textAnswer(400, "usage: /debug/why?from=<pod or address>&to=<destination>:<port>\n");
    try {
      const record = explainConnection(context, { from, to });
      const recent = decisions
        .latest(MAX_SEARCHED)
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
