/** Routes, heads and facts for tests of routing. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RouteConfigurationSchema } from "../../../src/shared/wire/gen/envoy/config/route/v3/route_pb.js";
import { Notes } from "../../../src/waypoint/compile/notes.ts";
import { compileRoutes } from "../../../src/waypoint/compile/routes.ts";
import { Fields, type RequestHead } from "../../../src/waypoint/http/message.ts";
import type { DownstreamInfo } from "../../../src/waypoint/http/stream.ts";
import type { RouteTable } from "../../../src/waypoint/model/route.ts";
import type { FormatFacts } from "../../../src/waypoint/routing/format.ts";
import type { SelectFacts } from "../../../src/waypoint/routing/select.ts";

type RouteInit = NonNullable<
  NonNullable<MessageInitShape<typeof RouteConfigurationSchema>["virtualHosts"]>[number]["routes"]
>[number];

export const perRouteStub = { perRoute: (name: string) => `settings of ${name}` };

export function tableFrom(
  config: MessageInitShape<typeof RouteConfigurationSchema>,
  notes = new Notes(),
): RouteTable {
  return compileRoutes(create(RouteConfigurationSchema, config), "routes", notes, perRouteStub);
}

/** One virtual host for everything. */
export function tableOf(routes: readonly RouteInit[], notes = new Notes()): RouteTable {
  const virtualHosts = [{ name: "host", domains: ["*"], routes: [...routes] }];
  return tableFrom({ name: "table", virtualHosts }, notes);
}

/** To a cluster of the same name as the route. */
export function routeTo(name: string, match: RouteInit["match"]): RouteInit {
  const cluster = { case: "cluster", value: name } as const;
  return {
    name,
    match: match ?? {},
    action: { case: "route", value: { clusterSpecifier: cluster } },
  };
}

export function prefix(value: string) {
  return { pathSpecifier: { case: "prefix", value } } as const;
}

export function head(path: string, given: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "GET",
    scheme: "http",
    authority: "reviews.test",
    path,
    fields: new Fields([]),
    upgrade: undefined,
    ...given,
  };
}

export function selectFacts(given: Partial<SelectFacts> = {}): SelectFacts {
  return { random: () => 0.5, metadata: new Map(), ...given };
}

export const downstream: DownstreamInfo = {
  peerPrincipal: "spiffe://cluster.local/ns/shop/sa/web",
  localPrincipal: "spiffe://cluster.local/ns/shop/sa/waypoint",
  source: { ip: "10.10.1.5", port: 40_000 },
  destination: { ip: "10.96.1.1", port: 80 },
  connectAuthority: "10.96.1.1:80",
  connectHeaders: [],
  requestedServerName: undefined,
  connectionId: 7,
  startedWallMs: 0,
};

export function formatFacts(request: RequestHead, given: Partial<FormatFacts> = {}): FormatFacts {
  return {
    downstream,
    protocol: "HTTP/1.1",
    request,
    response: undefined,
    // 2026-11-21T12:34:56.789Z
    startWallMs: 1_795_264_496_789,
    metadata: new Map(),
    routeName: "route",
    upstream: undefined,
    ...given,
  };
}
