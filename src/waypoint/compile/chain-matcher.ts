/** filter_chain_matcher → ChainMatcher: the tree's levels become hash maps, its leaves ready choices (wire/waypoint.md section 3.3). */

import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  ApplicationProtocolInputSchema,
  DestinationIPInputSchema,
  DestinationPortInputSchema,
  FilterStateInputSchema,
} from "../../shared/wire/gen/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js";
import { IPMatcherSchema } from "../../shared/wire/gen/xds/type/matcher/v3/ip_pb.js";
import {
  type Matcher,
  type Matcher_MatcherTree,
  Matcher_MatcherTreeSchema,
  type Matcher_OnMatch,
  Matcher_OnMatchSchema,
  MatcherSchema,
} from "../../shared/wire/gen/xds/type/matcher/v3/matcher_pb.js";
import type { Chain } from "../model/chain.ts";
import { type AddressLevel, addRange, newAddressLevel } from "./address-level.ts";
import { typeOf, unpackAs } from "./cluster-values.ts";
import type { MatchNode } from "./match-node.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

export interface MatcherScope {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly notes: Notes;
}

const matcherFields = { used: ["matcher_tree", "on_no_match"] };
const treeFields = { used: ["input", "exact_match_map", "custom_match"] };
const onMatchFields = { used: ["matcher", "action"], unknownDecorative: [] };

export function compileMatcher(matcher: Matcher, path: Path, scope: MatcherScope): MatchNode {
  checkFields(matcher, MatcherSchema, path, scope.notes, matcherFields);
  const { matcherType: type, onNoMatch } = matcher;
  const otherwise =
    onNoMatch === undefined ? undefined : compileOnMatch(onNoMatch, at(path, "on_no_match"), scope);
  if (type.case === undefined) return otherwise ?? { kind: "none" };
  if (type.case !== "matcherTree") throw new CompileError(path, `${type.case} is not supported`);
  return compileTree(type.value, otherwise, at(path, "matcher_tree"), scope);
}

function compileTree(
  tree: Matcher_MatcherTree,
  otherwise: MatchNode | undefined,
  path: Path,
  scope: MatcherScope,
): MatchNode {
  checkFields(tree, Matcher_MatcherTreeSchema, path, scope.notes, treeFields);
  const input = tree.input?.typedConfig;
  const inputPath = at(path, "input.typed_config");
  if (input === undefined) throw new CompileError(inputPath, "is missing");
  switch (typeOf(input)) {
    case DestinationIPInputSchema.typeName:
      return compileAddresses(tree, otherwise, path, scope);
    case DestinationPortInputSchema.typeName:
      return compilePorts(tree, otherwise, path, scope);
    case ApplicationProtocolInputSchema.typeName:
      return compileProtocols(tree, otherwise, path, scope);
    case FilterStateInputSchema.typeName: {
      const { key } = unpackAs(input, FilterStateInputSchema, inputPath);
      if (key !== "io.istio.connect_authority")
        throw new CompileError(at(inputPath, "key"), `nothing here sets ${key}`);
      const nodes = new Map(
        exactMap(tree, path).map(([text, on, where]) => [text, compileOnMatch(on, where, scope)]),
      );
      return { kind: "authority", nodes, otherwise };
    }
    default:
      throw new CompileError(inputPath, `${typeOf(input)} is not supported`);
  }
}

type Entry = readonly [key: string, on: Matcher_OnMatch, path: Path];
type Entries = readonly Entry[];

function exactMap({ treeType }: Matcher_MatcherTree, path: Path): Entries {
  if (treeType.case !== "exactMatchMap")
    throw new CompileError(
      path,
      `an exact_match_map is expected, not ${treeType.case ?? "nothing"}`,
    );
  const inside = at(path, "exact_match_map");
  return Object.entries(treeType.value.map).map(
    ([key, on]) => [key, on, item(inside, "map", JSON.stringify(key))] as const,
  );
}

function compileOnMatch(on: Matcher_OnMatch, path: Path, scope: MatcherScope): MatchNode {
  checkFields(on, Matcher_OnMatchSchema, path, scope.notes, onMatchFields);
  const { onMatch } = on;
  if (onMatch.case === "matcher") return compileMatcher(onMatch.value, at(path, "matcher"), scope);
  if (onMatch.case !== "action") throw new CompileError(path, "says nothing to do");
  const action = at(path, "action");
  const { value: name } = unpackAs(
    onMatch.value.typedConfig,
    StringValueSchema,
    at(action, "typed_config"),
  );
  const chain = scope.chains.get(name);
  if (chain === undefined) throw new CompileError(action, `there is no filter chain "${name}"`);
  return { kind: "chain", choice: { kind: "chain", chain } };
}

function compilePorts(
  tree: Matcher_MatcherTree,
  otherwise: MatchNode | undefined,
  path: Path,
  scope: MatcherScope,
): MatchNode {
  const nodes = new Map<number, MatchNode>();
  for (const [key, on, where] of exactMap(tree, path)) {
    const port = Number(key);
    if (!/^[0-9]{1,5}$/.test(key) || port > 65_535)
      throw new CompileError(where, `"${key}" is no port`);
    nodes.set(port, compileOnMatch(on, where, scope));
  }
  return { kind: "port", nodes, otherwise };
}

const http11 = "'http/1.1'";
const http10 = "'http/1.0'";
const h2c = "'h2c'";

/** All kinds of HTTP lead to one chain here; a chain per version is refused. */
function compileProtocols(
  tree: Matcher_MatcherTree,
  otherwise: MatchNode | undefined,
  path: Path,
  scope: MatcherScope,
): MatchNode {
  const entries = exactMap(tree, path);
  const [first] = entries;
  if (first === undefined) return otherwise ?? { kind: "none" };
  const http = protocolChain(first, scope);
  for (const entry of entries)
    if (protocolChain(entry, scope) !== http)
      throw new CompileError(entry[2], "leads to another chain than the other versions of HTTP");
  const named = new Set(entries.map(([key]) => key));
  if (!named.has(http11) || !named.has(h2c))
    throw new CompileError(path, `must name both ${http11} and ${h2c}`);
  if (otherwise !== undefined && otherwise.kind !== "chain")
    throw new CompileError(path, "must have a filter chain in on_no_match, or nothing");
  const other = otherwise?.choice.chain;
  return {
    kind: "protocol",
    sniffed: { kind: "sniff", http, http10: named.has(http10), other },
    unseen: otherwise ?? { kind: "none" },
  };
}

function protocolChain([key, on, path]: Entry, scope: MatcherScope): Chain {
  if (key !== http11 && key !== http10 && key !== h2c)
    throw new CompileError(path, `${key} is no protocol that the inspector tells apart here`);
  const node = compileOnMatch(on, path, scope);
  if (node.kind !== "chain") throw new CompileError(path, "must name a filter chain");
  return node.choice.chain;
}

function compileAddresses(
  tree: Matcher_MatcherTree,
  otherwise: MatchNode | undefined,
  path: Path,
  scope: MatcherScope,
): MatchNode {
  const { treeType } = tree;
  if (treeType.case !== "customMatch")
    throw new CompileError(path, `a custom_match is expected, not ${treeType.case ?? "nothing"}`);
  const inside = at(path, "custom_match.typed_config");
  const matcher = unpackAs(treeType.value.typedConfig, IPMatcherSchema, inside);
  const level: AddressLevel = newAddressLevel();
  for (const [index, one] of matcher.rangeMatchers.entries()) {
    const where = item(inside, "range_matchers", index);
    if (one.onMatch === undefined) throw new CompileError(at(where, "on_match"), "is missing");
    const node = compileOnMatch(one.onMatch, at(where, "on_match"), scope);
    for (const [position, range] of one.ranges.entries())
      addRange(level, range, one.exclusive, node, item(where, "ranges", position));
  }
  return { kind: "address", level, otherwise };
}
