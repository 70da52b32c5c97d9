/** Finds resources by the keys of on-demand subscriptions: name, `network/ip`, and a service with all its endpoints. */
import type { PushResource, ResourceTable } from "./types.ts";

export class ResourceLookup {
  readonly #table: ResourceTable;
  readonly #byAlias = new Map<string, PushResource[]>();
  readonly #byService = new Map<string, PushResource[]>();
  readonly #byNode = new Map<string, PushResource[]>();

  constructor(table: ResourceTable) {
    this.#table = table;
    for (const resource of table.byName.values()) {
      for (const alias of resource.aliases) push(this.#byAlias, alias, resource);
      for (const service of resource.services) push(this.#byService, service, resource);
      if (resource.node !== "") push(this.#byNode, resource.node, resource);
    }
  }

  /** Workload by uid, workloads by address, then a service by name or address together with its endpoints. */
  find(key: string): readonly PushResource[] {
    const named = this.#table.byName.get(key);
    if (named !== undefined) return [named, ...this.endpointsOf(named)];
    const holders = this.#byAlias.get(key) ?? [];
    const workloads = holders.filter(isWorkload);
    if (workloads.length > 0) return workloads;
    const [service] = holders;
    return service === undefined ? [] : [service, ...this.endpointsOf(service)];
  }

  endpointsOf(service: PushResource): readonly PushResource[] {
    return this.#byService.get(service.name) ?? [];
  }

  onNode(node: string): readonly PushResource[] {
    return this.#byNode.get(node) ?? [];
  }
}

/** Uids have another shape than `namespace/hostname`. */
function isWorkload(resource: PushResource): boolean {
  return resource.name.split("/").length > 2;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
