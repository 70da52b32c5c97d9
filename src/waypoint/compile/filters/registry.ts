/**
 * Filters by the type of their configuration. What is not known here is refused with its path: a filter read past in
 * silence could have been the one that says no.
 */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Filter } from "../../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import type { HttpFilter as HttpFilterMessage } from "../../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { FilterEnvironment } from "../../filters/environment.ts";
import type { HttpFilter, NetworkFilter } from "../../filters/filter.ts";
import type { PerRouteSettings } from "../../filters/per-route.ts";
import { at, CompileError, type Notes, type Path } from "../notes.ts";
import { elsewhereRole, type FilterRole } from "./elsewhere.ts";
import { httpFilterCompilers, networkFilterCompilers, perRouteCompilers } from "./table.ts";
import { type TypedConfig, typedConfig } from "./typed-config.ts";

export type CompiledFilter<Compiled> =
  | { readonly kind: "filter"; readonly filter: Compiled }
  /** Known, and carried out by another part: telemetry, the router, tunnel termination. */
  | { readonly kind: "elsewhere"; readonly role: FilterRole; readonly config: TypedConfig };

export function compileHttpFilter(
  message: HttpFilterMessage,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
): CompiledFilter<HttpFilter> {
  if (message.disabled) throw new CompileError(at(path, "disabled"), "is not supported");
  return compiled(message, path, notes, environment, httpFilterCompilers);
}

export function compileNetworkFilter(
  message: Filter,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
): CompiledFilter<NetworkFilter> {
  return compiled(message, path, notes, environment, networkFilterCompilers);
}

/** One entry of typed_per_filter_config. `filterName` is its key: the name of a filter in the chain. */
export function compilePerRoute(
  filterName: string,
  any: Any,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
): PerRouteSettings {
  const config = typedConfig(any, path);
  const compile = perRouteCompilers.get(config.typeName);
  if (compile === undefined)
    throw new CompileError(path, `${config.typeName} is not supported for ${filterName}`);
  return compile(config, path, notes, environment);
}

type FilterCompiler<Compiled> = (
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
) => Compiled;

function compiled<Compiled>(
  message: HttpFilterMessage | Filter,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
  compilers: ReadonlyMap<string, FilterCompiler<Compiled>>,
): CompiledFilter<Compiled> {
  const { configType, name } = message;
  if (configType.case === "configDiscovery")
    throw new CompileError(at(path, "config_discovery"), `filter ${name} is not supported`);
  const configPath = at(path, "typed_config");
  const config = typedConfig(configType.value, configPath);
  const compile = compilers.get(config.typeName);
  if (compile !== undefined)
    return { kind: "filter", filter: compile(name, config, configPath, notes, environment) };
  const role = elsewhereRole(config, configPath, notes);
  if (role !== undefined) return { kind: "elsewhere", role, config };
  throw new CompileError(configPath, `filter ${name} of type ${config.typeName} is not supported`);
}
