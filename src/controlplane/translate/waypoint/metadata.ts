/** Metadata by which tools find the object that something was made of, and telemetry the service. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { L7Service } from "./services.ts";

export function configPath(
  kind: "destination-rule" | "virtual-service",
  namespace: string,
  name: string,
): string {
  return `/apis/networking.istio.io/v1/namespaces/${namespace}/${kind}/${name}`;
}

export function serviceMetadata({ hostname, name, namespace }: L7Service): JsonObject {
  return { host: hostname, name, namespace };
}
