/** VirtualServices with whole names, and with what they delegate to others put in its place. */

import type {
  HttpRouteSpec,
  VirtualServiceSpec,
} from "../../../../shared/objects/kinds/virtual-service.ts";
import type { ObjectOf } from "../../../../shared/objects/kinds.ts";
import { resolveHost } from "../hosts.ts";
import type { Mesh } from "../mesh.ts";
import { mergeDelegate } from "./delegates.ts";
import type { RouteSource } from "./sources.ts";

type VirtualService = ObjectOf<"VirtualService">;

const MESH_GATEWAY = "mesh";

export function virtualServiceSources(
  objects: readonly VirtualService[],
  mesh: Mesh,
): readonly RouteSource[] {
  // One without hosts is a piece for others.
  const delegates = new Map(
    objects
      .filter(({ spec }) => spec.hosts.length === 0)
      .map((object) => [keyOf(object.metadata.namespace, object.metadata.name), object]),
  );
  return objects
    .filter(({ spec }) => spec.hosts.length > 0 && isForMesh(spec.gateways))
    .map((object) => {
      const { metadata } = object;
      const spec = withWholeNames(object, mesh);
      return {
        name: metadata.name,
        namespace: metadata.namespace,
        createdAt: metadata.creationTimestamp ?? "",
        gatewayApi: false,
        hosts: spec.hosts,
        exportTo: exportsOf(object, mesh),
        http: spec.http.flatMap((route) => withDelegate(route, object, delegates, mesh)),
        tls: spec.tls,
        tcp: spec.tcp,
      };
    });
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

export function isForMesh(gateways: readonly string[]): boolean {
  return gateways.length === 0 || gateways.includes(MESH_GATEWAY);
}

function exportsOf({ spec, metadata }: VirtualService, mesh: Mesh): readonly string[] {
  const stated = spec.exportTo.length > 0 ? spec.exportTo : mesh.exportTo.virtualService;
  if (stated.length === 0) return ["*"];
  return stated.map((name) => (name === "." ? metadata.namespace : name));
}

/** A delegate that is not there, or is not for this namespace, leaves its part out. */
function withDelegate(
  route: HttpRouteSpec,
  root: VirtualService,
  delegates: ReadonlyMap<string, VirtualService>,
  mesh: Mesh,
): readonly HttpRouteSpec[] {
  const { delegate, ...own } = route;
  if (delegate === undefined) return [route];
  const { namespace } = root.metadata;
  const found = delegates.get(keyOf(delegate.namespace || namespace, delegate.name));
  if (found === undefined) return [];
  const exports = exportsOf(found, mesh);
  if (!exports.includes("*") && !exports.includes(namespace)) return [];
  return withWholeNames(found, mesh).http.flatMap((part) => mergeDelegate(own, part) ?? []);
}

function withWholeNames(
  { spec, metadata }: VirtualService,
  { clusterDomain }: Mesh,
): VirtualServiceSpec {
  const whole = (host: string): string => resolveHost(host, metadata.namespace, clusterDomain);
  const at = <T extends { readonly host: string }>(destination: T): T => ({
    ...destination,
    host: whole(destination.host),
  });
  const l4 = <T extends { readonly route: VirtualServiceSpec["tcp"][number]["route"] }>(
    rule: T,
  ) => ({
    ...rule,
    route: rule.route.map((one) => ({ ...one, destination: at(one.destination) })),
  });
  return {
    ...spec,
    hosts: spec.hosts.map(whole),
    tls: spec.tls.map(l4),
    tcp: spec.tcp.map(l4),
    http: spec.http.map((rule) => ({
      ...rule,
      route: rule.route.map((one) => ({ ...one, destination: at(one.destination) })),
      ...(rule.mirror === undefined ? {} : { mirror: at(rule.mirror) }),
      mirrors: rule.mirrors.map((one) =>
        one.destination === undefined ? one : { ...one, destination: at(one.destination) },
      ),
    })),
  };
}
