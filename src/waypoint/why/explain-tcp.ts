/** Follows a connection through a chain for octets of any protocol. */
import type { Clock } from "../../shared/base/clock.ts";
import { NetworkAuthzFilter } from "../filters/ext-authz/network-filter.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { TcpChain } from "../model/chain.ts";
import { TcpContext } from "../tcp/context.ts";
import { shortFlags } from "../telemetry/response-flags.ts";
import type { Outcome, WhyClusters } from "./explain-http.ts";

export interface TcpFacts {
  readonly chain: TcpChain;
  readonly downstream: DownstreamInfo;
  readonly clusters: WhyClusters;
  readonly clock: Clock;
}

export async function explainTcp(facts: TcpFacts, random: () => number): Promise<Outcome> {
  const { chain, downstream, clusters, clock } = facts;
  const context = new TcpContext(downstream, clock, random);
  const said = (): string[] =>
    context.decisions.map(({ filter, outcome, reason }) => `${filter}: ${outcome}: ${reason}`);
  let undecided: string | undefined;
  for (const filter of chain.filters) {
    if (filter instanceof NetworkAuthzFilter) {
      undecided = `${filter.name}: an authorization server decides; it is not asked here`;
      continue;
    }
    const verdict = await filter.onConnection(context);
    if (verdict.kind === "close")
      return {
        verdict: "denied",
        because: `${context.decisions.at(-1)?.reason ?? filter.name}; the connection is closed`,
        status: null,
        flags: shortFlags(verdict.flags),
        details: verdict.details,
        decisions: said(),
        route: null,
        cluster: null,
        endpoints: null,
      };
  }
  const cluster = drawn(chain, random());
  const endpoints = clusters.endpoints(cluster) ?? null;
  const way = {
    status: null,
    details: null,
    decisions: said(),
    route: null,
    cluster,
    endpoints,
  };
  if (!clusters.has(cluster))
    return {
      ...way,
      verdict: "unreachable",
      because: `there is no cluster "${cluster}"`,
      flags: "NC",
    };
  if (endpoints !== null && !endpoints.some(({ healthy }) => healthy))
    return {
      ...way,
      verdict: "unreachable",
      because: `cluster ${cluster} has no healthy endpoint`,
      flags: "UH",
    };
  return {
    ...way,
    verdict: undecided === undefined ? "allowed" : "undecided",
    because: undecided ?? `the connection goes to ${cluster}`,
    flags: "-",
  };
}

function drawn({ clusters: { total, clusters } }: TcpChain, draw: number): string {
  let left = Math.floor(draw * total);
  for (const { cluster, weight } of clusters) {
    if (left < weight) return cluster;
    left -= weight;
  }
  return clusters.at(-1)?.cluster ?? "";
}
