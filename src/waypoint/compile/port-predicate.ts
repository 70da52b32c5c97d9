/** On which destination ports a listener filter looks at a connection (ListenerFilterChainMatchPredicate). */
import {
  type ListenerFilterChainMatchPredicate,
  ListenerFilterChainMatchPredicateSchema,
} from "../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const PORTS = 65_536;

/** One flag per port. */
export type PortSet = Uint8Array;

export const noPorts: PortSet = new Uint8Array(PORTS);
export const allPorts: PortSet = new Uint8Array(PORTS).fill(1);

const fields = {
  used: ["or_match", "and_match", "not_match", "any_match", "destination_port_range"],
};

export function compilePredicate(
  predicate: ListenerFilterChainMatchPredicate,
  path: Path,
  notes: Notes,
): PortSet {
  checkFields(predicate, ListenerFilterChainMatchPredicateSchema, path, notes, fields);
  const { rule } = predicate;
  switch (rule.case) {
    case "anyMatch":
      return rule.value ? allPorts : noPorts;
    case "destinationPortRange":
      return new Uint8Array(PORTS).fill(1, Math.max(0, rule.value.start), rule.value.end);
    case "notMatch":
      return inverted(compilePredicate(rule.value, at(path, "not_match"), notes));
    case "orMatch":
    case "andMatch": {
      const any = rule.case === "orMatch";
      const inside = at(path, any ? "or_match" : "and_match");
      const result = new Uint8Array(PORTS).fill(any ? 0 : 1);
      for (const [index, one] of rule.value.rules.entries()) {
        // The common case, a thousand of them at once: no set of its own.
        if (any && one.rule.case === "destinationPortRange")
          result.fill(1, Math.max(0, one.rule.value.start), one.rule.value.end);
        else combine(result, compilePredicate(one, item(inside, "rules", index), notes), any);
      }
      return result;
    }
    default:
      throw new CompileError(path, "says nothing");
  }
}

export function inverted(ports: PortSet): PortSet {
  return ports.map((flag) => 1 - flag);
}

function combine(into: PortSet, other: PortSet, any: boolean): void {
  for (let port = 0; port < PORTS; port++)
    into[port] = any
      ? (into[port] ?? 0) | (other[port] ?? 0)
      : (into[port] ?? 0) & (other[port] ?? 0);
}
