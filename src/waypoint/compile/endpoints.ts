/** ClusterLoadAssignment → plain data (wire/waypoint.md section 4.4). */

import {
  type LbEndpoint,
  LbEndpointSchema,
  type LocalityLbEndpoints,
  LocalityLbEndpointsSchema,
} from "../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignment_PolicySchema,
  ClusterLoadAssignmentSchema,
} from "../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Assignment, EndpointConfig, LocalityEndpoints } from "../model/endpoints.ts";
import { compileEndpoint } from "./endpoints-target.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const defaultOverprovisioning = 140;
/** Envoy's limit. */
const maxPriority = 128;

export function compileAssignment(
  message: ClusterLoadAssignment,
  notes: Notes,
  path: Path = "",
): Assignment {
  checkFields(message, ClusterLoadAssignmentSchema, path, notes, {
    used: ["cluster_name", "endpoints", "policy"],
  });
  if (message.clusterName === "") throw new CompileError(at(path, "cluster_name"), "is missing");
  const { policy } = message;
  if (policy !== undefined)
    checkFields(policy, ClusterLoadAssignment_PolicySchema, at(path, "policy"), notes, {
      used: ["overprovisioning_factor", "weighted_priority_health"],
      decorative: ["endpoint_stale_after"],
    });
  const overprovisioningFactor = policy?.overprovisioningFactor ?? defaultOverprovisioning;
  if (overprovisioningFactor === 0)
    throw new CompileError(at(at(path, "policy"), "overprovisioning_factor"), "must be above 0");
  return {
    cluster: message.clusterName,
    localities: message.endpoints.map((locality, index) =>
      compileLocality(locality, item(path, "endpoints", index), notes),
    ),
    overprovisioningFactor,
    weightedPriorityHealth: policy?.weightedPriorityHealth ?? false,
  };
}

function compileLocality(
  message: LocalityLbEndpoints,
  path: Path,
  notes: Notes,
): LocalityEndpoints {
  checkFields(message, LocalityLbEndpointsSchema, path, notes, {
    used: ["locality", "lb_endpoints", "load_balancing_weight", "priority"],
    decorative: ["proximity", "metadata"],
  });
  const { locality } = message;
  if (message.priority > maxPriority)
    throw new CompileError(at(path, "priority"), `must be at most ${maxPriority}`);
  return {
    locality: {
      region: locality?.region ?? "",
      zone: locality?.zone ?? "",
      subZone: locality?.subZone ?? "",
    },
    weight: message.loadBalancingWeight,
    priority: message.priority,
    endpoints: message.lbEndpoints.map((endpoint, index) =>
      compileLbEndpoint(endpoint, item(path, "lb_endpoints", index), notes),
    ),
  };
}

function compileLbEndpoint(message: LbEndpoint, path: Path, notes: Notes): EndpointConfig {
  checkFields(message, LbEndpointSchema, path, notes, {
    used: ["endpoint", "health_status", "metadata", "load_balancing_weight"],
  });
  return compileEndpoint(message, path, notes);
}
