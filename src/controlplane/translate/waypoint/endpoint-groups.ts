/** Endpoints of one place, before and after places are ranked. */
import type { Locality } from "../../../shared/model/workload.ts";
import type {
  LbEndpointSchema,
  LocalityLbEndpointsSchema,
} from "../../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import type { Instance } from "./instances.ts";
import type { Init } from "./wire.ts";

export type LbEndpointInit = Init<typeof LbEndpointSchema>;
export type LocalityEndpoints = Init<typeof LocalityLbEndpointsSchema>;

/** One endpoint, with what balancing by labels must know about it. */
export interface PlacedEndpoint {
  readonly instance: Instance;
  readonly endpoint: LbEndpointInit;
}

export interface EndpointGroup {
  readonly locality: Locality;
  readonly members: readonly PlacedEndpoint[];
}

export function plainGroup({ locality, members }: EndpointGroup): LocalityEndpoints {
  return {
    locality: {
      region: locality.region,
      zone: locality.zone,
      subZone: locality.subzone,
    },
    lbEndpoints: members.map(({ endpoint }) => endpoint),
    loadBalancingWeight: members.reduce(
      (sum, { endpoint }) => sum + (endpoint.loadBalancingWeight ?? 0),
      0,
    ),
  };
}
