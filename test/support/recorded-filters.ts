/** Filters of recorded chains, compiled. */

import {
  type CompiledFilter,
  compileHttpFilter,
  compileNetworkFilter,
  compilePerRoute,
} from "../../src/waypoint/compile/filters/registry.ts";
import { Notes } from "../../src/waypoint/compile/notes.ts";
import type { FilterEnvironment } from "../../src/waypoint/filters/environment.ts";
import type { HttpFilter, NetworkFilter } from "../../src/waypoint/filters/filter.ts";
import type { PerRouteSettings } from "../../src/waypoint/filters/per-route.ts";
import { filterEnvironment } from "./filters.ts";
import { httpManagers, recordedListeners } from "./recorded-listeners.ts";

export interface RecordedChain {
  readonly listener: string;
  readonly name: string;
  readonly network: readonly CompiledFilter<NetworkFilter>[];
  readonly http: readonly CompiledFilter<HttpFilter>[];
  readonly perRoute: readonly {
    readonly route: string;
    readonly filter: string;
    readonly settings: PerRouteSettings;
  }[];
}

export function recordedChains(
  golden: string,
  environment: FilterEnvironment = filterEnvironment(),
): RecordedChain[] {
  const notes = new Notes();
  return recordedListeners(golden).flatMap((listener) =>
    listener.filterChains.map((chain) => {
      const managers = httpManagers({ ...listener, filterChains: [chain] });
      const routes = managers.flatMap(({ routeSpecifier }) =>
        routeSpecifier.case === "routeConfig"
          ? routeSpecifier.value.virtualHosts.flatMap((host) => host.routes)
          : [],
      );
      return {
        listener: listener.name,
        name: chain.name,
        network: chain.filters.map((filter) =>
          compileNetworkFilter(filter, filter.name, notes, environment),
        ),
        http: managers.flatMap(({ httpFilters }) =>
          httpFilters.map((filter) => compileHttpFilter(filter, filter.name, notes, environment)),
        ),
        perRoute: routes.flatMap((route) =>
          Object.entries(route.typedPerFilterConfig).map(([filter, config]) => ({
            route: route.name,
            filter,
            settings: compilePerRoute(filter, config, filter, notes, environment),
          })),
        ),
      };
    }),
  );
}

/** The chain of this name, which the recording must have. */
export function chainOf(
  golden: string,
  name: string,
  environment?: FilterEnvironment,
): RecordedChain {
  const chain = recordedChains(golden, environment).find((each) => each.name === name);
  if (chain === undefined) throw new Error(`${golden} has no chain ${name}`);
  return chain;
}

export function filtersOf<Filter extends { readonly name: string }>(
  compiled: readonly CompiledFilter<Filter>[],
  name: string,
): Filter[] {
  return compiled.flatMap((each) =>
    each.kind === "filter" && each.filter.name === name ? [each.filter] : [],
  );
}
