/** `main_internal`: what a connection meets behind the tunnel (wire/waypoint.md sections 3.3 to 3.5). */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type ListenerFilter,
  ListenerFilterSchema,
} from "../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  type Listener,
  ListenerSchema,
} from "../../shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import type { Chain, ChainMatcher } from "../model/chain.ts";
import type { AccessLog } from "../telemetry/config.ts";
import { compileChain } from "./chain.ts";
import { ChainCache, type CompiledChain } from "./chain-cache.ts";
import { compileMatcher } from "./chain-matcher.ts";
import { milliseconds, typeOf } from "./cluster-values.ts";
import type { CompileHooks } from "./hooks.ts";
import { type Inspection, TreeMatcher } from "./match-node.ts";
import { at, CompileError, checkFields, item, Notes, type Path } from "./notes.ts";
import { allPorts, compilePredicate, inverted, noPorts, type PortSet } from "./port-predicate.ts";
import { type EncodedChain, splitListener } from "./split-listener.ts";

export interface MainListener {
  readonly matcher: ChainMatcher;
  /** By name. A chain whose octets are those of the listener before is the same object. */
  readonly chains: ReadonlyMap<string, Chain>;
  /** For connections that no chain takes. */
  readonly accessLogs: readonly AccessLog[];
  /** For the compilation of the next version. */
  readonly cache: ChainCache;
}

const listenerFields = {
  used: [
    "name",
    "filter_chain_matcher",
    "listener_filters",
    "listener_filters_timeout",
    "continue_on_listener_filters_timeout",
    "internal_listener",
    "access_log",
  ],
  decorative: [
    "stat_prefix",
    "traffic_direction",
    "metadata",
    "per_connection_buffer_limit_bytes",
    "connection_balance_config",
    "ignore_global_conn_limit",
    "bypass_overload_manager",
    "use_original_dst",
  ],
};

/** `bytes` is an encoded Listener. Throws CompileError; `previous` is left as it is either way. */
export function compileMainListener(
  bytes: Uint8Array,
  notes: Notes,
  hooks: CompileHooks,
  previous: ChainCache = new ChainCache(),
): MainListener {
  const { chains: encoded, listener } = decode(bytes);
  const path = listener.name;
  checkFields(listener, ListenerSchema, path, notes, listenerFields);
  if (listener.filterChainMatcher === undefined)
    throw new CompileError(at(path, "filter_chain_matcher"), "is missing");
  const inspection = inspectionOf(listener, path, notes);
  const cache = new ChainCache();
  const chains = new Map<string, Chain>();
  for (const [index, one] of encoded.entries()) {
    const compiled = compileOrFind(one, item(path, "filter_chains", index), hooks, previous, cache);
    chains.set(one.name, compiled.chain);
    notes.add(compiled.decorations);
  }
  const scope = { chains, notes };
  const root = compileMatcher(listener.filterChainMatcher, at(path, "filter_chain_matcher"), scope);
  return {
    matcher: new TreeMatcher(root, inspection),
    chains,
    accessLogs: hooks.accessLogs(listener.accessLog, at(path, "access_log"), notes),
    cache,
  };
}

interface Decoded {
  readonly chains: readonly EncodedChain[];
  /** Without its chains. */
  readonly listener: Listener;
}

function decode(bytes: Uint8Array): Decoded {
  try {
    const { chains, rest } = splitListener(bytes);
    return { chains, listener: fromBinary(ListenerSchema, rest) };
  } catch (error) {
    throw undecodable(error);
  }
}

function undecodable(cause: unknown): CompileError {
  return new CompileError("listener", "does not decode as a Listener", { cause });
}

function compileOrFind(
  { name, bytes }: EncodedChain,
  path: Path,
  hooks: CompileHooks,
  previous: ChainCache,
  cache: ChainCache,
): CompiledChain {
  if (cache.has(name)) throw new CompileError(at(path, "name"), `"${name}" stands twice`);
  const compiled = previous.find(name, bytes) ?? compileNew(bytes, path, hooks);
  cache.add(name, bytes, compiled);
  return compiled;
}

function compileNew(bytes: Uint8Array, path: Path, hooks: CompileHooks): CompiledChain {
  const own = new Notes();
  const chain = compileChain(bytes, path, own, hooks);
  return { chain, decorations: own.decorations };
}

const filterFields = { used: ["name", "typed_config", "filter_disabled"] };

/** Envoy's default. */
const INSPECTION_TIMEOUT_MS = 15_000;

function inspectionOf(listener: Listener, path: Path, notes: Notes): Inspection {
  let http: PortSet = noPorts;
  let tls: PortSet = noPorts;
  for (const [index, filter] of listener.listenerFilters.entries()) {
    const inside = item(path, "listener_filters", index);
    checkFields(filter, ListenerFilterSchema, inside, notes, filterFields);
    const type = filter.configType.case === "typedConfig" ? typeOf(filter.configType.value) : "";
    switch (type) {
      case "envoy.extensions.filters.listener.original_dst.v3.OriginalDst":
        break;
      case "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector":
        http = enabledPorts(filter, inside, notes);
        break;
      case "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector":
        tls = enabledPorts(filter, inside, notes);
        break;
      default:
        throw new CompileError(inside, `${filter.name} is not supported`);
    }
  }
  return {
    http,
    tls,
    timeoutMs: milliseconds(listener.listenerFiltersTimeout, INSPECTION_TIMEOUT_MS),
    onTimeout: listener.continueOnListenerFiltersTimeout ? "continue" : "close",
  };
}

function enabledPorts({ filterDisabled }: ListenerFilter, path: Path, notes: Notes): PortSet {
  if (filterDisabled === undefined) return allPorts;
  return inverted(compilePredicate(filterDisabled, at(path, "filter_disabled"), notes));
}
