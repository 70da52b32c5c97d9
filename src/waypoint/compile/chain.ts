/** One filter chain of main_internal → Chain. */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type FilterChain,
  FilterChainSchema,
} from "../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import type { NetworkFilter } from "../filters/filter.ts";
import type { Chain } from "../model/chain.ts";
import type { StatsConfig } from "../telemetry/config.ts";
import { compileHttpChain } from "./chain-http.ts";
import { compileTcpChain } from "./chain-tcp.ts";
import type { FilterRole } from "./filters/elsewhere.ts";
import type { TypedConfig } from "./filters/typed-config.ts";
import type { CompileHooks } from "./hooks.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const chainFields = { used: ["name", "filters"], decorative: ["metadata"] };

/** From the octets of the FilterChain message. */
export function compileChain(
  bytes: Uint8Array,
  path: Path,
  notes: Notes,
  hooks: CompileHooks,
): Chain {
  const chain = decodeChain(bytes, path);
  const where = chain.name === "" ? path : `${path}(${chain.name})`;
  checkFields(chain, FilterChainSchema, where, notes, chainFields);
  if (chain.name === "") throw new CompileError(at(where, "name"), "is empty");
  const before: Before = { filters: [], stats: undefined };
  const last = chain.filters.length - 1;
  for (const [index, message] of chain.filters.entries()) {
    const inside = item(where, "filters", index);
    const compiled = hooks.networkFilter(message, inside, notes);
    if (compiled.kind === "filter") before.filters.push(compiled.filter);
    else if (isEnd(compiled.role)) {
      if (index !== last) throw new CompileError(inside, "must be the last filter");
      return compileEnd(chain.name, compiled, before, at(inside, "typed_config"), notes, hooks);
    } else if (compiled.role === "stats" && message.configType.case === "typedConfig")
      before.stats = hooks.stats(message.configType.value, at(inside, "typed_config"), notes);
  }
  throw new CompileError(
    at(where, "filters"),
    "ends in neither an HTTP connection manager nor a TCP proxy",
  );
}

interface Before {
  readonly filters: NetworkFilter[];
  stats: StatsConfig | undefined;
}

function isEnd(role: FilterRole): boolean {
  return role === "tcp-proxy" || role === "http-connection-manager";
}

function compileEnd(
  name: string,
  { role, config }: { readonly role: FilterRole; readonly config: TypedConfig },
  before: Before,
  path: Path,
  notes: Notes,
  hooks: CompileHooks,
): Chain {
  if (role === "tcp-proxy") return compileTcpChain(name, config, before, path, notes, hooks);
  if (before.filters.length > 0)
    throw new CompileError(path, "stands behind network filters, which is not supported");
  return compileHttpChain(name, config, path, notes, hooks);
}

function decodeChain(bytes: Uint8Array, path: Path): FilterChain {
  try {
    return fromBinary(FilterChainSchema, bytes);
  } catch (error) {
    throw undecodable(path, error);
  }
}

function undecodable(path: Path, cause: unknown): CompileError {
  return new CompileError(path, "does not decode as a FilterChain", { cause });
}
