/** The Gateway that asks for a waypoint. */
import { stringify } from "yaml";
import { UsageFailure } from "../command.ts";

export const TRAFFIC_TYPES = ["all", "none", "service", "workload"] as const;
export const WAYPOINT_FOR = "istio.io/waypoint-for";
export const REVISION = "istio.io/rev";
export const WAYPOINT_CLASS = "istio-waypoint";
export const DEFAULT_NAME = "waypoint";

export interface GatewayRequest {
  readonly name: string;
  /** Left out of the text where nobody named one. */
  readonly namespace: string | undefined;
  readonly trafficType: string | undefined;
  readonly revision: string | undefined;
}

export const listeners = [{ name: "mesh", port: 15008, protocol: "HBONE" }] as const;

/** `none` is what a label says that wants no waypoint. */
export function checkName(name: string): string {
  if (name === "none")
    throw new UsageFailure("invalid name provided for waypoint, 'none' is a reserved value");
  return name === "" ? DEFAULT_NAME : name;
}

export function gatewayText({ name, namespace, trafficType, revision }: GatewayRequest): string {
  const labels = {
    ...(trafficType === undefined ? {} : { [WAYPOINT_FOR]: trafficType }),
    ...(revision === undefined ? {} : { [REVISION]: revision }),
  };
  return stringify({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: {
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      name,
      ...(namespace === undefined ? {} : { namespace }),
    },
    spec: { gatewayClassName: WAYPOINT_CLASS, listeners },
  });
}
