/** Copies of requests that go elsewhere as well, and whose answers nobody sees. */
import type { HttpRouteSpec } from "../../../../shared/objects/kinds/virtual-service.ts";
import type { RouteAction_RequestMirrorPolicySchema } from "../../../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { Init } from "../wire.ts";
import type { World } from "../world.ts";
import { destinationCluster } from "./destination.ts";
import { percentOf, wholePercent } from "./filters.ts";

type MirrorInit = Init<typeof RouteAction_RequestMirrorPolicySchema>;
type Percent = ReturnType<typeof percentOf>;

interface MirrorContext {
  readonly world: World;
  readonly listenerPort: number;
}

export function mirrorPolicies(
  { world, listenerPort }: MirrorContext,
  rule: HttpRouteSpec,
): MirrorInit[] {
  const { mirror, mirrors } = rule;
  const all = [
    ...(mirror === undefined ? [] : [{ destination: mirror, percent: oldPercent(rule) }]),
    ...mirrors.map(({ destination, percentage }) => ({
      destination,
      percent: statedPercent(percentage?.value),
    })),
  ];
  return all.flatMap(({ destination, percent }) =>
    destination === undefined || percent === undefined
      ? []
      : {
          cluster: destinationCluster(world, destination, listenerPort),
          runtimeFraction: { defaultValue: percent },
          traceSampled: false,
          disableShadowHostSuffixAppend: true,
        },
  );
}

/** Undefined where somebody said zero. */
function statedPercent(value: number | undefined): Percent | undefined {
  if (value === undefined) return wholePercent(100);
  return value > 0 ? percentOf(value) : undefined;
}

function oldPercent({
  mirrorPercentage,
  mirrorPercent,
  mirror_percent: older,
}: HttpRouteSpec): Percent | undefined {
  if (mirrorPercentage !== undefined) return statedPercent(mirrorPercentage.value);
  const whole = mirrorPercent ?? older;
  if (whole === undefined) return wholePercent(100);
  return whole > 0 ? wholePercent(whole) : undefined;
}
