/**
 * The rule language, compiled once per policy: rules OR, clauses AND, matches OR, fields AND (wire/ztunnel.md section 6).
 * Two traps are part of the contract: a match without any field never matches, a clause without matches always does.
 */
import { spiffePrincipal } from "../identity/spiffe.ts";
import type {
  Policy,
  PolicyClause,
  PolicyMatch,
  PolicyRule,
  StringMatch,
} from "../model/policy.ts";
import { type Cidr, cidrContainsBytes } from "../net/cidr.ts";
import { type IpAddress, ipToBytes } from "../net/ip.ts";
import type { ConnectionFacts } from "./decision.ts";

/** The facts in the forms that matches compare; made once per decision. */
export interface PreparedFacts {
  readonly principal: string | undefined;
  readonly namespace: string | undefined;
  readonly serviceAccount: string | undefined;
  /** Bytes of the addresses, made when the first prefix asks for them. */
  readonly source: () => Uint8Array;
  readonly destination: () => Uint8Array;
  readonly port: number;
}

export function prepareFacts(facts: ConnectionFacts): PreparedFacts {
  return {
    principal: facts.peer && spiffePrincipal(facts.peer),
    namespace: facts.peer?.namespace,
    serviceAccount: facts.peer?.serviceAccount,
    source: lazyBytes(facts.sourceIp),
    destination: lazyBytes(facts.destinationIp),
    port: facts.destinationPort,
  };
}

function lazyBytes(ip: IpAddress): () => Uint8Array {
  let bytes: Uint8Array | undefined;
  return () => {
    bytes ??= ipToBytes(ip);
    return bytes;
  };
}

export type Predicate = (facts: PreparedFacts) => boolean;

function stringMatches(match: StringMatch, value: string): boolean {
  switch (match.kind) {
    case "exact":
      return value === match.value;
    case "prefix":
      return value.startsWith(match.value);
    case "suffix":
      return value.endsWith(match.value);
    case "presence":
      return value !== "";
  }
}

/** Exact values are the common case and can be many: they go into a set. Without an identity nothing matches. */
function anyString(
  list: readonly StringMatch[],
  read: (facts: PreparedFacts) => string | undefined,
): Predicate {
  const exact = new Set(list.flatMap((match) => (match.kind === "exact" ? [match.value] : [])));
  const others = list.filter((match) => match.kind !== "exact");
  return (facts) => {
    const value = read(facts);
    if (value === undefined) return false;
    return exact.has(value) || others.some((match) => stringMatches(match, value));
  };
}

function anyCidr(list: readonly Cidr[], read: (facts: PreparedFacts) => Uint8Array): Predicate {
  return (facts) => {
    const address = read(facts);
    return list.some((cidr) => cidrContainsBytes(cidr, address));
  };
}

function anyServiceAccount(list: PolicyMatch["serviceAccounts"]): Predicate {
  return (facts) =>
    list.some(
      (match) =>
        match.namespace === facts.namespace && match.serviceAccount === facts.serviceAccount,
    );
}

function anyPort(list: readonly number[]): Predicate {
  const ports = new Set(list);
  return (facts) => ports.has(facts.port);
}

/** One field of a match that is filled in. */
export interface FieldPredicate {
  readonly field: keyof PolicyMatch;
  readonly test: Predicate;
}

/** The filled-in fields of a match, cheapest first. */
export function fieldPredicates(match: PolicyMatch): FieldPredicate[] {
  const fields: FieldPredicate[] = [];
  const add = (positive: keyof PolicyMatch, negative: keyof PolicyMatch, any: AnyOf): void => {
    if (match[positive].length > 0) fields.push({ field: positive, test: any(positive) });
    if (match[negative].length === 0) return;
    const some = any(negative);
    fields.push({ field: negative, test: (facts) => !some(facts) });
  };
  type AnyOf = (field: keyof PolicyMatch) => Predicate;
  add("destinationPorts", "notDestinationPorts", (field) => anyPort(match[field] as number[]));
  add("namespaces", "notNamespaces", (field) =>
    anyString(match[field] as StringMatch[], (facts) => facts.namespace),
  );
  add("principals", "notPrincipals", (field) =>
    anyString(match[field] as StringMatch[], (facts) => facts.principal),
  );
  add("serviceAccounts", "notServiceAccounts", (field) =>
    anyServiceAccount(match[field] as PolicyMatch["serviceAccounts"]),
  );
  add("sourceIps", "notSourceIps", (field) =>
    anyCidr(match[field] as Cidr[], (facts) => facts.source()),
  );
  add("destinationIps", "notDestinationIps", (field) =>
    anyCidr(match[field] as Cidr[], (facts) => facts.destination()),
  );
  return fields;
}

const never: Predicate = () => false;
const always: Predicate = () => true;

function every(tests: readonly Predicate[]): Predicate {
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (facts) => tests.every((test) => test(facts));
}

function some(tests: readonly Predicate[]): Predicate {
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (facts) => tests.some((test) => test(facts));
}

function compileMatch(match: PolicyMatch): Predicate {
  const tests = fieldPredicates(match).map((field) => field.test);
  return tests.length === 0 ? never : every(tests);
}

export function compileClause(clause: PolicyClause): Predicate {
  return clause.matches.length === 0 ? always : some(clause.matches.map(compileMatch));
}

function compileRule(rule: PolicyRule): Predicate {
  return rule.clauses.length === 0 ? always : every(rule.clauses.map(compileClause));
}

/** Gives the index of the first rule that matches, or -1. */
export type CompiledPolicy = (facts: PreparedFacts) => number;

const compiled = new WeakMap<Policy, CompiledPolicy>();

export function compilePolicy(policy: Policy): CompiledPolicy {
  const known = compiled.get(policy);
  if (known !== undefined) return known;
  const rules = policy.rules.map(compileRule);
  const evaluate: CompiledPolicy = (facts) => rules.findIndex((rule) => rule(facts));
  compiled.set(policy, evaluate);
  return evaluate;
}
