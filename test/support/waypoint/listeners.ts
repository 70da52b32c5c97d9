/** Main listeners for tests of their compilation: recorded ones, changed ones, and large ones made of them. */
import { readdirSync, readFileSync } from "node:fs";
import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type FilterChain,
  FilterChainSchema,
} from "../../../src/shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  type Listener,
  ListenerSchema,
} from "../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteSchema } from "../../../src/shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { RouteConfiguration } from "../../../src/shared/wire/gen/envoy/config/route/v3/route_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  DestinationIPInputSchema,
  DestinationPortInputSchema,
} from "../../../src/shared/wire/gen/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js";
import { DeltaDiscoveryResponseSchema } from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { IPMatcherSchema } from "../../../src/shared/wire/gen/xds/type/matcher/v3/ip_pb.js";
import { MatcherSchema } from "../../../src/shared/wire/gen/xds/type/matcher/v3/matcher_pb.js";
import { type CompileHooks, compileHooks } from "../../../src/waypoint/compile/hooks.ts";
import { inertEnvironment } from "../../../src/waypoint/telemetry/environment.ts";
import { filterEnvironment } from "../filters.ts";

export const l7Cases: readonly string[] = readdirSync("test/golden")
  .filter((name) => name.startsWith("l7-"))
  .sort();

export function realHooks(): CompileHooks {
  return compileHooks(filterEnvironment(), inertEnvironment());
}

export function recordedMain(golden: string): Uint8Array {
  const bytes = readFileSync(`test/golden/${golden}/waypoint/Listener.binpb`);
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  const found = resources.find(({ name }) => name === "main_internal");
  if (found?.resource === undefined) throw new Error(`${golden} has no main_internal`);
  return found.resource.value;
}

/** The recorded listener with a change; "inbound-vip|9080|http|reviews..." has the routes of the case. */
export function changedMain(golden: string, change: (listener: Listener) => void): Uint8Array {
  const listener = fromBinary(ListenerSchema, recordedMain(golden));
  change(listener);
  return toBinary(ListenerSchema, listener);
}

/** Changes the connection manager of a chain in place. */
export function changeManager(
  chain: FilterChain | undefined,
  change: (manager: HttpConnectionManager, routes: RouteConfiguration) => void,
): void {
  const type = chain?.filters.at(-1)?.configType;
  if (type?.case !== "typedConfig") throw new Error("no typed config");
  const manager = fromBinary(HttpConnectionManagerSchema, type.value.value);
  if (manager.routeSpecifier.case !== "routeConfig") throw new Error("no routes");
  change(manager, manager.routeSpecifier.value);
  type.value = anyPack(HttpConnectionManagerSchema, manager);
}

export function chainNamed(listener: Listener, name: string): FilterChain {
  const chain = listener.filterChains.find((one) => one.name === name);
  if (chain === undefined) throw new Error(`no chain ${name}`);
  return chain;
}

function action(name: string) {
  const value = create(StringValueSchema, { value: name });
  const typedConfig = anyPack(StringValueSchema, value);
  return { onMatch: { case: "action" as const, value: { name, typedConfig } } };
}

function portMatcher(name: string) {
  const typedConfig = anyPack(DestinationPortInputSchema, create(DestinationPortInputSchema));
  const treeType = { case: "exactMatchMap" as const, value: { map: { "80": action(name) } } };
  const tree = { input: { name: "port", typedConfig }, treeType };
  return { matcherType: { case: "matcherTree" as const, value: tree } };
}

/** `services` chains with ten routes each, service i at 10.96.(i / 256).(i % 256):80. */
export function largeMain(services: number): Uint8Array {
  const listener = fromBinary(ListenerSchema, recordedMain("l7-vs-match"));
  const template = listener.filterChains.find((one) =>
    one.name.startsWith("inbound-vip|80|http|reviews"),
  );
  if (template === undefined) throw new Error("the recorded listener has no reviews");
  listener.filterChains = Array.from({ length: services }, (_unused, service) => {
    const chain = clone(FilterChainSchema, template);
    chain.name = `inbound-vip|80|http|s${service}.shop.svc.cluster.local`;
    changeManager(chain, (_manager, routes) => {
      const [host] = routes.virtualHosts;
      const recorded = host?.routes ?? [];
      const made = Array.from({ length: 10 }, (_none, index) => {
        const route = clone(RouteSchema, recorded[index % recorded.length] ?? create(RouteSchema));
        route.name = `s${service}-${index}`;
        return route;
      });
      if (host !== undefined) host.routes = made;
    });
    return chain;
  });
  const addresses = create(IPMatcherSchema, {
    rangeMatchers: listener.filterChains.map(({ name }, service) => ({
      ranges: [{ addressPrefix: `10.96.${service >> 8}.${service & 255}`, prefixLen: 32 }],
      onMatch: { onMatch: { case: "matcher" as const, value: portMatcher(name) } },
    })),
  });
  const input = anyPack(DestinationIPInputSchema, create(DestinationIPInputSchema));
  listener.filterChainMatcher = create(MatcherSchema, {
    matcherType: {
      case: "matcherTree",
      value: {
        input: { name: "ip", typedConfig: input },
        treeType: {
          case: "customMatch",
          value: { name: "ip", typedConfig: anyPack(IPMatcherSchema, addresses) },
        },
      },
    },
  });
  return toBinary(ListenerSchema, listener);
}
