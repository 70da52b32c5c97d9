/** The compiled matcher tree and the walk through it for a connection. */
import type { ChainChoice, ChainMatcher } from "../model/chain.ts";
import { type AddressLevel, inRange, parseAddress } from "./address-level.ts";
import type { PortSet } from "./port-predicate.ts";

export type MatchNode =
  | { readonly kind: "none" }
  | { readonly kind: "chain"; readonly choice: Extract<ChainChoice, { readonly kind: "chain" }> }
  | {
      readonly kind: "authority";
      readonly nodes: ReadonlyMap<string, MatchNode>;
      readonly otherwise: MatchNode | undefined;
    }
  | {
      readonly kind: "address";
      readonly level: AddressLevel;
      readonly otherwise: MatchNode | undefined;
    }
  | {
      readonly kind: "port";
      readonly nodes: ReadonlyMap<number, MatchNode>;
      readonly otherwise: MatchNode | undefined;
    }
  /** `unseen`: where the inspector does not look, no protocol is known. */
  | { readonly kind: "protocol"; readonly sniffed: ChainChoice; readonly unseen: MatchNode };

type Destination = Parameters<ChainMatcher["match"]>[0];

export interface Inspection {
  readonly http: PortSet;
  readonly tls: PortSet;
  readonly timeoutMs: number;
  readonly onTimeout: "close" | "continue";
}

const nothing: ChainChoice = { kind: "none" };

export class TreeMatcher implements ChainMatcher {
  readonly inspection: ChainMatcher["inspection"];
  readonly #root: MatchNode;
  readonly #http: PortSet;
  readonly #tls: PortSet;

  constructor(root: MatchNode, { http, tls, timeoutMs, onTimeout }: Inspection) {
    this.#root = root;
    this.#http = http;
    this.#tls = tls;
    this.inspection = { timeoutMs, onTimeout };
  }

  match(destination: Destination): ChainChoice {
    return this.#walk(this.#root, destination) ?? nothing;
  }

  inspectsTls(port: number): boolean {
    return this.#tls[port] === 1;
  }

  /** Undefined: nothing matches, so that the level above goes on with what it has left. */
  #walk(node: MatchNode | undefined, destination: Destination): ChainChoice | undefined {
    switch (node?.kind) {
      case undefined:
      case "none":
        return undefined;
      case "chain":
        return node.choice;
      case "port":
        return (
          this.#walk(node.nodes.get(destination.port), destination) ??
          this.#walk(node.otherwise, destination)
        );
      case "authority":
        return (
          this.#walk(node.nodes.get(destination.authority), destination) ??
          this.#walk(node.otherwise, destination)
        );
      case "protocol":
        return this.#http[destination.port] === 1
          ? node.sniffed
          : this.#walk(node.unseen, destination);
      case "address":
        return this.#address(node.level, destination) ?? this.#walk(node.otherwise, destination);
    }
  }

  #address({ single, ranges }: AddressLevel, destination: Destination): ChainChoice | undefined {
    const one = single.get(destination.ip);
    if (one !== undefined) {
      const choice = this.#walk(one.node, destination);
      if (choice !== undefined || one.exclusive) return choice;
    }
    if (ranges.length === 0) return undefined;
    const ip = parseAddress(destination.ip);
    if (ip === undefined) return undefined;
    for (const range of ranges) {
      if (!inRange(range, ip)) continue;
      const choice = this.#walk(range.node, destination);
      if (choice !== undefined || range.exclusive) return choice;
    }
    return undefined;
  }
}
