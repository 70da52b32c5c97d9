/** Follows a request through a chain: the same checks, filters and routes, in the same order as a real one. */
import type { Clock } from "../../shared/base/clock.ts";
import { checkRequest } from "../exchange/checks.ts";
import { prepareRequest } from "../exchange/request-headers.ts";
import { ExtAuthzFilter } from "../filters/ext-authz/filter.ts";
import { Fields, type LocalReply, type RequestHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { HttpChain } from "../model/chain.ts";
import type { Forward, Route } from "../model/route.ts";
import { explainRoute } from "../routing/explain.ts";
import { chooseCluster } from "../routing/forward.ts";
import { redirectUrl } from "../routing/redirect.ts";
import { shortFlags } from "../telemetry/response-flags.ts";
import { DryRequest } from "./dry-request.ts";
import type {
  WaypointEndpoint,
  WaypointOutcome,
  WaypointRequest,
  WaypointRoute,
} from "./record.ts";

/** What is known of clusters beside their names. */
export interface WhyClusters {
  has(name: string): boolean;
  /** Undefined: not known, because something else finds them (DNS, the client). */
  endpoints(name: string): readonly WaypointEndpoint[] | undefined;
}

export interface HttpFacts {
  readonly chain: HttpChain;
  readonly request: WaypointRequest;
  readonly downstream: DownstreamInfo;
  readonly clusters: WhyClusters;
  readonly clock: Clock;
}

export type Outcome = Omit<WaypointOutcome, "share">;

function headOf({ method, path, host, headers }: WaypointRequest): RequestHead {
  const flat = headers.flatMap(([name, value]) => [name.toLowerCase(), value]);
  return {
    method,
    scheme: "http",
    authority: host,
    path,
    fields: new Fields(flat),
    upgrade: undefined,
  };
}

export async function explainHttp(facts: HttpFacts, random: () => number): Promise<Outcome> {
  const { chain, request, downstream, clock } = facts;
  const head = headOf(request);
  prepareRequest(head, chain.http, downstream);
  const dry = new DryRequest(chain, head, downstream, clock, random);
  const refusal = checkRequest(head, chain.http);
  if (refusal !== undefined) return answered(dry, refusal, "the request is refused as it is");
  const asked: string[] = [];
  for (const filter of chain.filters) {
    const server = filter instanceof ExtAuthzFilter ? filter.asks(dry) : undefined;
    if (server !== undefined) {
      asked.push(server);
      const reason = `${server} decides; it is not asked here`;
      dry.note({ filter: filter.name, outcome: "not-asked", reason });
      continue;
    }
    const verdict = await filter.onRequest?.(dry, true);
    if (verdict?.kind === "reply") return answered(dry, verdict.reply, lastReason(dry));
  }
  const outcome = routed(facts, dry, chain);
  if (asked.length === 0 || outcome.verdict !== "allowed") return outcome;
  return {
    ...outcome,
    verdict: "undecided",
    because: `${asked.join(" and ")} decides whether ${outcome.because}`,
  };
}

function lastReason(dry: DryRequest): string {
  const last = dry.decisions.at(-1);
  return last === undefined ? "a filter answers" : `${last.filter}: ${last.reason}`;
}

function decisionsOf(dry: DryRequest): string[] {
  return dry.decisions.map(({ filter, outcome, reason }) => `${filter}: ${outcome}: ${reason}`);
}

function answered(dry: DryRequest, reply: LocalReply, because: string): Outcome {
  const { status, details, flags } = reply;
  const denied = status === 401 || status === 403;
  return {
    verdict: denied ? "denied" : "answered",
    because: `${because}; the answer is ${status}`,
    status,
    flags: shortFlags([...dry.flags, ...flags]),
    details,
    decisions: decisionsOf(dry),
    route: null,
    cluster: null,
    endpoints: null,
  };
}

function routed({ clusters }: HttpFacts, dry: DryRequest, chain: HttpChain): Outcome {
  const explained = explainRoute(chain.routes, dry.head, dry);
  const { route, virtualHost, reason } = explained;
  const common = { flags: shortFlags(dry.flags), decisions: decisionsOf(dry), endpoints: null };
  if (route === undefined)
    return {
      ...common,
      verdict: "unreachable",
      because: `${reason}; the answer is 404`,
      status: 404,
      flags: shortFlags([...dry.flags, "NR"]),
      details: "route_not_found",
      route: null,
      cluster: null,
    };
  const told: WaypointRoute = {
    name: route.name,
    virtualHost: virtualHost ?? "",
    origin: route.origin ?? null,
    reason,
    passedOver: explained.passedOver.map(
      ({ route: other, reason: why }) => `${other.name === "" ? "a route" : other.name} (${why})`,
    ),
  };
  if (route.action.kind === "forward")
    return forwarded(clusters, dry, told, route.action.forward, common);
  const { status, because } = direct(route, dry.head);
  return {
    ...common,
    verdict: status === 404 ? "unreachable" : "answered",
    because,
    status,
    details: "direct_response",
    route: told,
    cluster: null,
  };
}

/** Names are given by whoever wrote the route; the reference gives none. */
function routeWords(name: string): string {
  return name === "" ? "the route" : `route ${name}`;
}

function direct(
  { action, path, name }: Route,
  head: RequestHead,
): { readonly status: number; readonly because: string } {
  const { kind } = action;
  if (kind === "redirect") {
    const { status } = action.redirect;
    const url = redirectUrl(action.redirect, path, head);
    return { status, because: `${routeWords(name)} redirects to ${url} with ${status}` };
  }
  const status = kind === "direct" ? action.status : 404;
  return { status, because: `${routeWords(name)} answers ${status} itself` };
}

function forwarded(
  clusters: WhyClusters,
  dry: DryRequest,
  route: WaypointRoute,
  forward: Forward,
  common: Pick<Outcome, "flags" | "decisions" | "endpoints">,
): Outcome {
  const { cluster } = chooseCluster(forward.clusters, dry.head, dry.random());
  if (!clusters.has(cluster)) {
    const status = forward.clusterNotFoundStatus;
    return {
      ...common,
      verdict: "unreachable",
      because: `there is no cluster "${cluster}"; the answer is ${status}`,
      status,
      flags: shortFlags([...dry.flags, "NC"]),
      details: "cluster_not_found",
      route,
      cluster,
    };
  }
  const endpoints = clusters.endpoints(cluster) ?? null;
  const way = { ...common, route, cluster, endpoints };
  if (endpoints !== null && !endpoints.some(({ healthy }) => healthy))
    return {
      ...way,
      verdict: "unreachable",
      because: `cluster ${cluster} has no healthy endpoint; the answer is 503`,
      status: 503,
      flags: shortFlags([...dry.flags, "UH"]),
      details: "no_healthy_upstream",
    };
  return {
    ...way,
    verdict: "allowed",
    because: `${routeWords(route.name)} leads to ${cluster}`,
    status: null,
    details: null,
  };
}
