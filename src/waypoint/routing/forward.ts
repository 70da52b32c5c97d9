/** What a forwarding route makes of a request before it goes upstream, and of its answer. */
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { ClusterChoice, Forward, Route, WeightedCluster } from "../model/route.ts";
import type { FormatFacts } from "./format.ts";
import { mutateHeaders } from "./headers.ts";
import { rewrittenAuthority, rewrittenPath, setAuthority } from "./rewrite.ts";

export interface ChosenCluster {
  /** "" when a header was to name it and does not. */
  readonly cluster: string;
  /** With headers of its own, for weighted clusters. */
  readonly weighted: WeightedCluster | undefined;
}

/** `draw` in [0, 1). */
export function chooseCluster(
  choice: ClusterChoice,
  head: RequestHead,
  draw: number,
): ChosenCluster {
  switch (choice.kind) {
    case "one":
      return choice.chosen;
    case "header":
      return { cluster: head.fields.get(choice.header) ?? "", weighted: undefined };
    case "weighted": {
      const one = weightedAt(choice.clusters, choice.total, draw);
      return one?.clusterHeader === undefined
        ? { cluster: one?.cluster ?? "", weighted: one }
        : { cluster: head.fields.get(one.clusterHeader) ?? "", weighted: one };
    }
  }
}

function weightedAt(
  clusters: readonly WeightedCluster[],
  total: number,
  draw: number,
): WeightedCluster | undefined {
  let left = Math.floor(draw * total);
  for (const one of clusters) {
    if (left < one.weight) return one;
    left -= one.weight;
  }
  return clusters.at(-1);
}

/**
 * Headers, then host, then path, in Envoy's order: the weighted cluster's before the route's. `insertOriginalPath` is the
 * opposite of the router's suppress_envoy_headers.
 */
export function finalizeRequest(
  route: Route,
  forward: Forward,
  weighted: WeightedCluster | undefined,
  facts: FormatFacts,
  insertOriginalPath: boolean,
): void {
  const { request: head } = facts;
  if (weighted !== undefined) {
    mutateHeaders(weighted.requestHeaders, head.fields, facts);
    if (weighted.hostRewrite !== undefined) head.authority = weighted.hostRewrite;
  }
  mutateHeaders(route.requestHeaders, head.fields, facts);
  const authority = rewrittenAuthority(forward.hostRewrite, head);
  if (authority !== undefined) setAuthority(head, authority, forward.appendXForwardedHost);
  const path = rewrittenPath(route.path, forward.pathRewrite, head.path);
  if (path === undefined) return;
  if (insertOriginalPath) head.fields.set("x-envoy-original-path", head.path);
  head.path = path;
}

export function finalizeResponse(
  route: Route,
  weighted: WeightedCluster | undefined,
  response: ResponseHead,
  facts: FormatFacts,
): void {
  if (weighted !== undefined) mutateHeaders(weighted.responseHeaders, response.fields, facts);
  mutateHeaders(route.responseHeaders, response.fields, facts);
}
