/** Settings of filters that stand on routes (typed_per_filter_config), by the filter's name. */
import type { Route } from "../model/route.ts";
import type { CorsPolicy } from "./cors/policy.ts";
import type { FaultPlan } from "./fault/plan.ts";

export type PerRouteSettings =
  | { readonly kind: "fault"; readonly fault: FaultPlan }
  | { readonly kind: "cors"; readonly cors: CorsPolicy }
  /** For a filter that waypoints do not have: without effect. */
  | { readonly kind: "inert" };

/** What the route says for the filter of this name, if it is of the kind that the filter reads. */
export function perRoute<Kind extends PerRouteSettings["kind"]>(
  route: Route | undefined,
  filterName: string,
  kind: Kind,
): Extract<PerRouteSettings, { readonly kind: Kind }> | undefined {
  const settings = route?.perFilter.get(filterName) as PerRouteSettings | undefined;
  if (settings?.kind !== kind) return undefined;
  return settings as Extract<PerRouteSettings, { readonly kind: Kind }>;
}
