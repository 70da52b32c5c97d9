/** Where rules send requests to. */
import type { BackendRef } from "../../../../../shared/objects/kinds/routes.ts";
import type { DestinationSpec } from "../../../../../shared/objects/kinds/virtual-service.ts";
import type { ObjectTable } from "../../../objects.ts";
import type { RouteFault } from "./outcome.ts";

export interface ConversionContext {
  readonly objects: ObjectTable;
  /** Whether the name is a service's, or an outside host's that somebody described. */
  readonly knowsHost: (hostname: string, namespace: string) => boolean;
  readonly clusterDomain: string;
}

export interface ConvertedBackend {
  /** Undefined for one that makes the whole rule void. An empty host stands for one that answers with an error. */
  readonly destination: DestinationSpec | undefined;
  readonly fault: RouteFault | undefined;
}

/** A grant is not asked for: the reference asks for one at gateways only. */
export function convertBackend(
  ref: BackendRef,
  routeNamespace: string,
  context: ConversionContext,
): ConvertedBackend {
  const { group, kind, name } = ref;
  const namespace = ref.namespace ?? routeNamespace;
  if (kind === "Service" && (group === "" || group === "core")) {
    if (name.includes("."))
      return invalid(
        "service name invalid; the name of the Service must be used, not the hostname.",
      );
    return serviceBackend(ref, namespace, context);
  }
  if (kind === "ServiceImport" && group === "multicluster.x-k8s.io")
    return serviceBackend(ref, namespace, context);
  if (kind === "Hostname" && group === "networking.istio.io") {
    if (ref.namespace !== undefined) return invalid("namespace may not be set with Hostname type");
    const found = context.knowsHost(name, namespace);
    return withPort(ref, name, found);
  }
  return {
    destination: { host: "" },
    fault: {
      reason: "InvalidKind",
      message: `referencing unsupported backendRef: group "${group}" kind "${kind}"`,
    },
  };
}

function serviceBackend(
  ref: BackendRef,
  namespace: string,
  { objects, clusterDomain }: ConversionContext,
): ConvertedBackend {
  const found = objects.find("Service", namespace, ref.name) !== undefined;
  return withPort(ref, `${ref.name}.${namespace}.svc.${clusterDomain}`, found);
}

/** One that is not found stays: it is a cluster that is not there, and that answers with an error. */
function withPort({ port }: BackendRef, host: string, found: boolean): ConvertedBackend {
  if (port === undefined) return invalid("port is required in backendRef");
  return {
    destination: { host, port: { number: port } },
    fault: found ? undefined : { reason: "BackendNotFound", message: `backend(${host}) not found` },
  };
}

function invalid(message: string): ConvertedBackend {
  return { destination: undefined, fault: { reason: "InvalidDestination", message } };
}

export interface Weighted {
  readonly weight: number;
}

/** Those without weight get nothing; the only one gets all, whatever its weight. */
export function weighted<T extends Weighted>(backends: readonly T[]): readonly T[] {
  const used = backends.filter(({ weight }) => weight > 0);
  return used.length === 1 ? used.map((one) => ({ ...one, weight: 0 })) : used;
}

export function hasWeight(backends: readonly Weighted[]): boolean {
  return backends.some(({ weight }) => weight > 0);
}
