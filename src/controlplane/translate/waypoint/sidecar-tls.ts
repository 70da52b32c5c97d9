/** Which namespaces want no TLS of the mesh's own between proxies: a guess for clients, by namespace and mesh alone. */
import type { ObjectOf } from "../../../shared/objects/kinds.ts";
import { byAgeAndName } from "./age.ts";

type PeerAuthentication = ObjectOf<"PeerAuthentication">;

export class SidecarTls {
  readonly #wide = new Map<string, PeerAuthentication>();
  readonly #rootNamespace: string;

  constructor(policies: readonly PeerAuthentication[], rootNamespace: string) {
    this.#rootNamespace = rootNamespace;
    const wide = policies.filter(
      ({ spec }) => Object.keys(spec.selector?.matchLabels ?? {}).length === 0,
    );
    for (const policy of [...wide].sort(byAgeAndName)) {
      const { namespace } = policy.metadata;
      // The oldest counts.
      if (!this.#wide.has(namespace)) this.#wide.set(namespace, policy);
    }
  }

  isOff(namespace: string): boolean {
    return (this.#modeOf(namespace) ?? this.#modeOf(this.#rootNamespace)) === "DISABLE";
  }

  /** Undefined where nothing is said. */
  #modeOf(namespace: string) {
    const mode = this.#wide.get(namespace)?.spec.mtls?.mode;
    return mode === "UNSET" ? undefined : mode;
  }
}
