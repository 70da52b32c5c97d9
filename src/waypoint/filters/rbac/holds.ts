/** Whether a condition holds. Total: every condition has an answer for every request and connection. */
import { type Cidr, cidrContainsBytes } from "../../../shared/net/cidr.ts";
import { matchesHeader, matchesMetadata, matchesString } from "../../routing/match.ts";
import type { Condition } from "./condition.ts";
import { type Facts, pathOf, remoteAddress } from "./facts.ts";
import { addressBytes, matchesIdentity } from "./remembered.ts";

export function holds(condition: Condition, facts: Facts): boolean {
  switch (condition.kind) {
    case "any":
      return true;
    case "never":
      return false;
    case "and":
      return every(condition.of, facts);
    case "or":
      return some(condition.of, facts);
    case "not":
      return !holds(condition.of, facts);
    default:
      return leafHolds(condition, facts);
  }
}

export type Leaf = Exclude<Condition, { readonly kind: "any" | "never" | "and" | "or" | "not" }>;

function leafHolds(leaf: Leaf, facts: Facts): boolean {
  const { downstream, head } = facts;
  switch (leaf.kind) {
    case "header":
      return head !== undefined && matchesHeader(leaf.matcher, head);
    case "path":
      return head !== undefined && matchesString(leaf.matcher, pathOf(head.path));
    case "path-template":
      return head !== undefined && leaf.template.matches(pathOf(head.path));
    case "destination-ip":
      return contains(leaf.cidr, downstream.destination.ip);
    case "destination-port":
      return downstream.destination.port >= leaf.start && downstream.destination.port < leaf.end;
    case "server-name":
      return matchesString(leaf.matcher, downstream.requestedServerName ?? "");
    case "metadata":
      return matchesMetadata(leaf.matcher, facts.metadata);
    case "peer-principal":
      return (
        downstream.peerPrincipal !== undefined &&
        matchesIdentity(leaf.matcher, downstream.peerPrincipal)
      );
    case "authenticated":
      return (
        downstream.peerPrincipal !== undefined &&
        (leaf.matcher === undefined || matchesIdentity(leaf.matcher, downstream.peerPrincipal))
      );
    case "source-ip":
      return contains(leaf.cidr, downstream.source.ip);
    case "remote-ip":
      return contains(leaf.cidr, remoteAddress(facts));
  }
}

function every(conditions: readonly Condition[], facts: Facts): boolean {
  for (const each of conditions) if (!holds(each, facts)) return false;
  return true;
}

function some(conditions: readonly Condition[], facts: Facts): boolean {
  for (const each of conditions) if (holds(each, facts)) return true;
  return false;
}

function contains(cidr: Cidr, address: string): boolean {
  const bytes = addressBytes(address);
  return bytes !== undefined && cidrContainsBytes(cidr, bytes);
}
