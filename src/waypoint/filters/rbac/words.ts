/** Conditions in words, for `why`, logs and the decision ring. */
import { cidrText } from "../../../shared/net/cidr.ts";
import type {
  HeaderMatcher,
  MetadataMatcher,
  StringMatcher,
  ValueMatcher,
} from "../../model/matchers.ts";
import { headerValue, metadataAt } from "../../routing/match.ts";
import type { Condition } from "./condition.ts";
import { type Facts, pathOf, remoteAddress } from "./facts.ts";
import type { Leaf } from "./holds.ts";

export function describe(condition: Condition): string {
  switch (condition.kind) {
    case "any":
      return "anything";
    case "never":
      return "nothing";
    case "and":
      return condition.of.map(describe).join(" and ");
    case "or":
      return `(${condition.of.map(describe).join(" or ")})`;
    case "not":
      return `not ${describe(condition.of)}`;
    default:
      return `${subject(condition)} ${predicate(condition)}`;
  }
}

/** What the condition asks about. */
function subject(leaf: Leaf): string {
  switch (leaf.kind) {
    case "header":
      return headerSubject(leaf.matcher.name);
    case "path":
    case "path-template":
      return "path";
    case "destination-ip":
      return "destination address";
    case "destination-port":
      return "destination port";
    case "server-name":
      return "server name";
    case "metadata":
      return [leaf.matcher.filter, ...leaf.matcher.path].join("/");
    case "peer-principal":
    case "authenticated":
      return "client identity";
    case "source-ip":
      return "source address";
    case "remote-ip":
      return "remote address";
  }
}

function headerSubject(name: string): string {
  if (name === ":method") return "method";
  if (name === ":authority") return "host";
  return `header ${name}`;
}

function predicate(leaf: Leaf): string {
  switch (leaf.kind) {
    case "header":
      return headerPredicate(leaf.matcher);
    case "path":
    case "server-name":
    case "peer-principal":
      return stringPredicate(leaf.matcher);
    case "authenticated":
      return leaf.matcher === undefined ? "is known" : stringPredicate(leaf.matcher);
    case "path-template":
      return `has the form ${leaf.template.source}`;
    case "destination-port":
      return leaf.end === leaf.start + 1
        ? `is ${leaf.start}`
        : `is from ${leaf.start} to ${leaf.end - 1}`;
    case "destination-ip":
    case "source-ip":
    case "remote-ip":
      return `is in ${cidrText(leaf.cidr)}`;
    case "metadata":
      return metadataPredicate(leaf.matcher);
  }
}

function stringPredicate(matcher: StringMatcher): string {
  switch (matcher.kind) {
    case "exact":
      return `is ${matcher.value}`;
    case "prefix":
      return `starts with ${matcher.value}`;
    case "suffix":
      return `ends with ${matcher.value}`;
    case "contains":
      return `contains ${matcher.value}`;
    case "regex":
      return `matches ${matcher.regex.source}`;
  }
}

function headerPredicate(matcher: HeaderMatcher): string {
  const { test } = matcher;
  const words =
    test.kind === "present"
      ? test.present
        ? "is present"
        : "is absent"
      : test.kind === "range"
        ? `is from ${test.start} to ${test.end - 1n}`
        : stringPredicate(test.matcher);
  return matcher.invert ? `not: ${words}` : words;
}

function metadataPredicate(matcher: MetadataMatcher): string {
  const words = valuePredicate(matcher.value);
  return matcher.invert ? `not: ${words}` : words;
}

function valuePredicate(matcher: ValueMatcher): string {
  switch (matcher.kind) {
    case "null":
      return "is null";
    case "bool":
      return `is ${matcher.value}`;
    case "string":
      return stringPredicate(matcher.matcher);
    case "double":
      return matcher.exact === undefined
        ? `is from ${matcher.range?.[0]} to ${matcher.range?.[1]}`
        : `is ${matcher.exact}`;
    case "present":
      return matcher.present ? "is present" : "is absent";
    case "list":
      return `has an element that ${valuePredicate(matcher.oneOf)}`;
    case "or":
      return matcher.matchers.map(valuePredicate).join(" or ");
  }
}

/** What the request or connection has there. */
export function actual(leaf: Leaf, facts: Facts): string {
  const { downstream, head } = facts;
  switch (leaf.kind) {
    case "header":
      return shown(head === undefined ? undefined : headerValue(head, leaf.matcher.name));
    case "path":
    case "path-template":
      return shown(head === undefined ? undefined : pathOf(head.path));
    case "destination-ip":
      return downstream.destination.ip;
    case "destination-port":
      return String(downstream.destination.port);
    case "server-name":
      return shown(downstream.requestedServerName);
    case "metadata": {
      const value = metadataAt(facts.metadata, leaf.matcher.filter, leaf.matcher.path);
      return shown(value === undefined ? undefined : JSON.stringify(value));
    }
    case "peer-principal":
    case "authenticated":
      return shown(downstream.peerPrincipal);
    case "source-ip":
      return downstream.source.ip;
    case "remote-ip":
      return remoteAddress(facts);
  }
}

const MAX_SHOWN_CHARS = 100;

function shown(value: string | undefined): string {
  if (value === undefined) return "absent";
  if (value === "") return "empty";
  return value.length <= MAX_SHOWN_CHARS ? value : `${value.slice(0, MAX_SHOWN_CHARS)}...`;
}
