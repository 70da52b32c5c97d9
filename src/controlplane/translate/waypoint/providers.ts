/** Services of the mesh that the configuration names for proxies to call: authorizers, collectors. */
import { clusterName } from "./names.ts";
import type { L7Service, ServiceDirectory } from "./services.ts";

export interface ProviderService {
  readonly service: L7Service;
  readonly hostname: string;
  readonly cluster: string;
}

/** `host` when only one namespace has it, else `namespace/host`. A reason, as text, when it is not to be found. */
export function findProviderService(
  services: ServiceDirectory,
  name: string,
  port: number,
): ProviderService | string {
  if (name === "") return "no service is named";
  const [namespace, host] = name.includes("/") ? splitName(name) : [undefined, name];
  const found = services
    .named(host)
    .filter((service) => namespace === undefined || service.namespace === namespace);
  const [service] = found;
  if (service === undefined) return `there is no service ${name}`;
  if (found.length > 1)
    return `several namespaces have a service ${name}: name it as <namespace>/<host>`;
  const { hostname } = service;
  return { service, hostname, cluster: clusterName("outbound", port, "", hostname) };
}

function splitName(name: string): readonly [namespace: string, host: string] {
  const slash = name.indexOf("/");
  return [name.slice(0, slash), name.slice(slash + 1)];
}
