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
import { readConfig, typedConfig } from "./filters/typed-config.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const listenerFields = {
  used: ["name", "filter_chains", "listener_filters", "internal_listener"],
  // Tunnels that cannot be made are logged with the request that wanted them.
  decorative: ["use_original_dst", "stat_prefix", "access_log", "traffic_direction"],
};
const chainFields = { used: ["filters"], decorative: ["name", "metadata"] };

/** Pass addresses and identities on; peers are looked up in the mesh's own records. */
const handedOn: ReadonlySet<string> = new Set([
  "envoy.extensions.filters.network.set_filter_state.v3.Config",
  "envoy.extensions.network_filters.peer_metadata.Config",
]);

export function checkWayOut(bytes: Uint8Array, notes: Notes): void {
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
      checkFilter(filter, listener.name, item(inside, "filters", position), notes);
  }
  notes.decorates(path, "the way out through HBONE is built in");
}

const proxyFields = {
  used: ["cluster", "tunneling_config"],
  decorative: ["stat_prefix", "access_log", "idle_timeout", "max_connect_attempts"],
};

function checkFilter(filter: Filter, cluster: string, path: Path, notes: Notes): void {
  if (filter.configType.case !== "typedConfig")
    throw new CompileError(path, `${filter.name} is not supported here`);
  const where = at(path, "typed_config");
  const config = typedConfig(filter.configType.value, where);
  if (handedOn.has(config.typeName)) return;
  if (config.typeName !== TcpProxySchema.typeName)
    throw new CompileError(where, `${config.typeName} is not supported here`);
  const proxy = readConfig(config, TcpProxySchema, where);
  checkFields(proxy, TcpProxySchema, where, notes, proxyFields);
  const { clusterSpecifier, tunnelingConfig } = proxy;
  if (clusterSpecifier.case !== "cluster" || clusterSpecifier.value !== cluster)
    throw new CompileError(at(where, "cluster"), `expected ${cluster}`);
  if (tunnelingConfig === undefined)
    throw new CompileError(at(where, "tunneling_config"), "is missing");
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
