/**
 * One resource type of one client, without I/O: what is asked for, and which versions are held. It outlives streams: on a new
 * one everything held is named again, so that only what changed is sent.
 */
import type { DeltaDiscoveryResponse } from "../wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { DeltaRequest, XdsNode } from "./types.ts";

export class Subscription {
  readonly typeUrl: string;
  /** All resources of the type, or those that were asked for. */
  readonly #all: boolean;
  readonly #names = new Set<string>();
  /** Accepted resources: name to last version. Refused ones are not remembered. */
  readonly #held = new Map<string, string>();

  constructor(typeUrl: string, extent: "all" | "named") {
    this.typeUrl = typeUrl;
    this.#all = extent === "all";
  }

  get held(): ReadonlyMap<string, string> {
    return this.#held;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /** Undefined: nothing is asked for, and a request without names would ask for everything. */
  initialRequest(node: XdsNode): DeltaRequest | undefined {
    const request = { typeUrl: this.typeUrl, node, initialVersions: new Map(this.#held) };
    if (this.#all) return request;
    return this.#names.size === 0 ? undefined : { ...request, subscribe: [...this.#names] };
  }

  /** Asks for exactly these names from now on. Undefined when nothing changes. */
  ask(names: Iterable<string>): DeltaRequest | undefined {
    const wanted = new Set(names);
    const unsubscribe = [...this.#names].filter((name) => !wanted.has(name));
    const subscribe = [...wanted].filter((name) => !this.#names.has(name));
    for (const name of unsubscribe) {
      this.#names.delete(name);
      this.#held.delete(name);
    }
    for (const name of subscribe) this.#names.add(name);
    if (subscribe.length === 0 && unsubscribe.length === 0) return undefined;
    return { typeUrl: this.typeUrl, subscribe, unsubscribe };
  }

  /** Asks for one name more. Undefined when it was asked for before. */
  add(name: string): DeltaRequest | undefined {
    if (this.#all || this.#names.has(name)) return undefined;
    this.#names.add(name);
    return { typeUrl: this.typeUrl, subscribe: [name] };
  }

  remember(response: DeltaDiscoveryResponse, refused: ReadonlySet<string>): void {
    for (const { name, version } of response.resources)
      if (!refused.has(name)) this.#held.set(name, version);
    for (const name of response.removedResources) this.#held.delete(name);
  }
}

/** The answer to a response: an ACK, or a NACK with the problems as its text. */
export function answerTo(
  response: DeltaDiscoveryResponse,
  problems: readonly string[],
): DeltaRequest {
  const { typeUrl, nonce } = response;
  return problems.length === 0
    ? { typeUrl, nonce }
    : { typeUrl, nonce, error: problems.join("; ") };
}
