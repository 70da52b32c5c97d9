/** A service as the builders of workloads need it: what goes on the wire, and what only the translation knows. */
import type { Labels } from "../../shared/model/enrollment.ts";
import type { Service } from "../../shared/model/workload.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import type { Binding } from "./waypoints.ts";

/** A service in the exact words of the wire. */
export type PublishedService = Service & {
  /** Both sorts of addresses as they were stated, where there are both. */
  readonly addresses?: readonly (Service["vips"][number] | Service["cidrVips"][number])[];
};

export interface ServiceInfo {
  readonly source: ObjectOf<"Service"> | ObjectOf<"ServiceEntry">;
  readonly service: PublishedService;
  /** By service port: its name, and the name of the target port when it is a named one. */
  readonly portNames: ReadonlyMap<number, PortNames>;
  /** Empty: selects nothing. */
  readonly selector: Labels;
  readonly binding: Binding;
}

export interface PortNames {
  readonly port: string;
  readonly target: string;
}
