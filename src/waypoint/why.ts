/**
 * What a waypoint does with a request or a connection, and why. The state and the question in, one record out: the admin
 * port asks it of the live state, `ambit why` also of resources that nobody serves. Filters and routes are the real ones; where
 * chance decides (shares of traffic, faults) many draws are made, so that the answer does not depend on when one asks.
 */
import type { Clock } from "../shared/base/clock.ts";
import { drawer } from "../shared/base/draws.ts";
import { formatSocketAddress, parseAuthority } from "../shared/net/authority.ts";
import type { DownstreamInfo } from "./http/stream.ts";
import type { Chain, ChainMatcher } from "./model/chain.ts";
import { explainHttp, type Outcome, type WhyClusters } from "./why/explain-http.ts";
import { explainTcp } from "./why/explain-tcp.ts";
import type {
  WaypointOutcome,
  WaypointQuestion,
  WaypointVerdict,
  WaypointWhy,
} from "./why/record.ts";
import { waypointText } from "./why/text.ts";

export interface WaypointWhyState {
  /** Undefined: there is no configuration yet. */
  readonly matcher: ChainMatcher | undefined;
  readonly clusters: WhyClusters;
  /** Of the waypoint; undefined: it has no certificate. */
  readonly identity: string | undefined;
  readonly clock: Clock;
}

/** The question itself cannot be understood. */
export class WaypointQuestionError extends Error {
  override readonly name = "WaypointQuestionError";
}

/** Sees shares down to a percent. */
const DRAWS = 128;

export async function explainAtWaypoint(
  state: WaypointWhyState,
  question: WaypointQuestion,
): Promise<WaypointWhy> {
  const downstream = downstreamOf(state, question);
  const { ip, port } = downstream.destination;
  const choice = state.matcher?.match({ ip, port, authority: downstream.connectAuthority });
  if (choice === undefined || choice.kind === "none") {
    const because =
      choice === undefined
        ? "the waypoint has no configuration"
        : `no chain takes connections to ${question.to}`;
    return finish(question, null, [closed(because)]);
  }
  const chain =
    choice.kind === "chain"
      ? choice.chain
      : question.request === undefined
        ? choice.other
        : choice.http;
  if (chain === undefined)
    return finish(question, null, [closed(`only HTTP is taken at ${question.to}`)]);
  return finish(question, chain.name, await draws(state, chain, downstream, question));
}

function closed(because: string): WaypointOutcome {
  return {
    share: 1,
    verdict: "unreachable",
    because: `${because}; the connection is closed`,
    status: null,
    flags: "NR",
    details: null,
    decisions: [],
    route: null,
    cluster: null,
    endpoints: null,
  };
}

async function draws(
  state: WaypointWhyState,
  chain: Chain,
  downstream: DownstreamInfo,
  { request, to }: WaypointQuestion,
): Promise<readonly WaypointOutcome[]> {
  const { clusters, clock } = state;
  const found = new Map<string, { readonly outcome: Outcome; count: number }>();
  for (let index = 0; index < DRAWS; index++) {
    const random = drawer(index);
    const outcome =
      chain.kind === "tcp"
        ? await explainTcp({ chain, downstream, clusters, clock }, random)
        : await explainHttp(
            {
              chain,
              // Without a request the plainest one stands for all.
              request: request ?? { method: "GET", path: "/", host: to, headers: [] },
              downstream,
              clusters,
              clock,
            },
            random,
          );
    const key = JSON.stringify(outcome);
    const known = found.get(key);
    if (known === undefined) found.set(key, { outcome, count: 1 });
    else known.count++;
  }
  return [...found.values()]
    .sort((a, b) => b.count - a.count)
    .map(({ outcome, count }) => ({ share: count / DRAWS, ...outcome }));
}

function downstreamOf({ identity, clock }: WaypointWhyState, question: WaypointQuestion) {
  const authority = parseAuthority(question.to);
  if (authority === undefined)
    throw new WaypointQuestionError(
      `Cannot read the destination "${question.to}": expected <ip>:<port> or <host>:<port>`,
    );
  const downstream: DownstreamInfo = {
    peerPrincipal: question.identity,
    localPrincipal: identity,
    source: { ip: question.from, port: 0 },
    // A hostname has no address here: matchers of addresses pass over it.
    destination:
      authority.kind === "address" ? authority.address : { ip: "", port: authority.port },
    connectAuthority:
      authority.kind === "address" ? formatSocketAddress(authority.address) : question.to,
    connectHeaders: [],
    requestedServerName: undefined,
    connectionId: 0,
    startedWallMs: clock.wallMs(),
  };
  return downstream;
}

function finish(
  question: WaypointQuestion,
  chain: string | null,
  outcomes: readonly WaypointOutcome[],
): WaypointWhy {
  const { verdict, because } = summary(outcomes);
  const text = waypointText(question, chain, outcomes, verdict, because);
  return { question, chain, verdict, because, outcomes, text };
}

function summary(outcomes: readonly WaypointOutcome[]): {
  readonly verdict: WaypointVerdict;
  readonly because: string;
} {
  const verdicts = new Set(outcomes.map(({ verdict }) => verdict));
  const [verdict = "unreachable"] = verdicts;
  const because = [...new Set(outcomes.map((one) => one.because))].slice(0, 3).join("; or ");
  return { verdict: verdicts.size > 1 ? "mixed" : verdict, because };
}
