/** Who owns which network namespace. Two pods in one namespace, or the node's own, would capture what is not theirs. */
import { MeshError } from "../../shared/base/errors.ts";
import type { IpAddress } from "../../shared/net/ip.ts";
import { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import { canBind } from "../../shared/os/raw-socket.ts";

export class NamespaceClaims {
  readonly #owners = new Map<string, string>();

  /**
   * Opens the namespace at `path` for this pod. Where its addresses are known, one of them must be in there: a path may have
   * been used again for another pod. Throws MeshError `system-failed`.
   */
  open(uid: string, path: string, ips: readonly IpAddress[]): NetworkNamespace {
    const namespace = NetworkNamespace.open(path);
    const problem = this.#obstacle(uid, namespace) ?? strangerIn(namespace, ips);
    if (problem === undefined) {
      this.#owners.set(keyOf(namespace), uid);
      return namespace;
    }
    namespace.close();
    throw new MeshError("system-failed", `Cannot use network namespace ${path}: ${problem}`);
  }

  /** Gives the claim up and closes the handle. */
  release(uid: string, namespace: NetworkNamespace): void {
    if (this.#owners.get(keyOf(namespace)) === uid) this.#owners.delete(keyOf(namespace));
    namespace.close();
  }

  #obstacle(uid: string, namespace: NetworkNamespace): string | undefined {
    if (namespace.sameAs(NetworkNamespace.own())) return "it is the node's own";
    const owner = this.#owners.get(keyOf(namespace));
    return owner === undefined || owner === uid ? undefined : `pod ${owner} is in it`;
  }
}

function strangerIn(namespace: NetworkNamespace, ips: readonly IpAddress[]): string | undefined {
  if (ips.length === 0 || ips.some((ip) => canBind(namespace, ip))) return undefined;
  return `it has none of the pod's addresses (${ips.join(", ")})`;
}

function keyOf(namespace: NetworkNamespace): string {
  return `${namespace.device}:${namespace.inode}`;
}
