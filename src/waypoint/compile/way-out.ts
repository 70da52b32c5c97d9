/**
 * connect_originate and its inner and outer forms: Envoy's hops from a chain to an HBONE tunnel (wire/waypoint.md section 3.6).
 * Here that way is built in, so these listeners are only held against what is built: anything else in them would be lost.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { Filter } from "../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import { FilterChainSchema } from "../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  type Listener,
  ListenerSchema,
} from "../../shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "../../shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { AccessLog } from "../telemetry/config.ts";
import { readConfig, typedConfig } from "./filters/typed-config.ts";
import type { CompileHooks } from "./hooks.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const listenerFields = {
  used: ["name", "filter_chains", "listener_filters", "internal_listener"],
  decorative: ["use_original_dst", "stat_prefix", "access_log", "traffic_direction"],
};
const chainFields = { used: ["filters"], decorative: ["name", "metadata"] };

/** Pass addresses and identities on; peers are looked up in the mesh's own records. */
const handedOn: ReadonlySet<string> = new Set([
  "envoy.extensions.filters.network.set_filter_state.v3.Config",
  "envoy.extensions.network_filters.peer_metadata.Config",
]);

/** Its access logs: of tunnels that could not be made. */
export function checkWayOut(
  bytes: Uint8Array,
  notes: Notes,
  accessLogs: CompileHooks["accessLogs"],
): readonly AccessLog[] {
  const logs: AccessLog[] = [];
  const listener = decoded(bytes);
  const path = listener.name;
  checkFields(listener, ListenerSchema, path, notes, listenerFields);
  for (const [index, { name }] of listener.listenerFilters.entries())
    if (name !== "envoy.filters.listener.original_dst")
      throw new CompileError(
        item(path, "listener_filters", index),
        `${name} is not supported here`,
      );
  for (const [index, chain] of listener.filterChains.entries()) {
    const inside = item(path, "filter_chains", index);
    checkFields(chain, FilterChainSchema, inside, notes, chainFields);
    for (const [position, filter] of chain.filters.entries())
      logs.push(
        ...checkFilter(filter, listener.name, item(inside, "filters", position), notes, accessLogs),
      );
  }
  notes.decorates(path, "the way out through HBONE is built in");
  return logs;
}

const proxyFields = {
  used: ["cluster", "tunneling_config", "access_log"],
  decorative: ["stat_prefix", "idle_timeout", "max_connect_attempts"],
};

function checkFilter(
  filter: Filter,
  cluster: string,
  path: Path,
  notes: Notes,
  accessLogs: CompileHooks["accessLogs"],
): readonly AccessLog[] {
  if (filter.configType.case !== "typedConfig")
    throw new CompileError(path, `${filter.name} is not supported here`);
  const where = at(path, "typed_config");
  const config = typedConfig(filter.configType.value, where);
  if (handedOn.has(config.typeName)) return [];
  if (config.typeName !== TcpProxySchema.typeName)
    throw new CompileError(where, `${config.typeName} is not supported here`);
  const proxy = readConfig(config, TcpProxySchema, where);
  checkFields(proxy, TcpProxySchema, where, notes, proxyFields);
  const { clusterSpecifier, tunnelingConfig } = proxy;
  if (clusterSpecifier.case !== "cluster" || clusterSpecifier.value !== cluster)
    throw new CompileError(at(where, "cluster"), `expected ${cluster}`);
  if (tunnelingConfig === undefined)
    throw new CompileError(at(where, "tunneling_config"), "is missing");
  return accessLogs(proxy.accessLog, at(where, "access_log"), notes);
}

function decoded(bytes: Uint8Array): Listener {
  try {
    return fromBinary(ListenerSchema, bytes);
  } catch (error) {
    throw undecodable(error);
  }
}

function undecodable(cause: unknown): CompileError {
  return new CompileError("listener", "does not decode as a Listener", { cause });
}
