/** RouteMatch → what a request must have (wire/waypoint.md section 5.2). */
import type { TypedExtensionConfig } from "../../shared/wire/gen/envoy/config/core/v3/extension_pb.js";
import {
  type RouteMatch,
  RouteMatchSchema,
} from "../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import { UriTemplateMatchConfigSchema } from "../../shared/wire/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import type { PathMatcher, Route } from "../model/route.ts";
import { unpackAs } from "./cluster-values.ts";
import { compileHeaderMatcher, compileQueryMatcher } from "./matchers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { compileRegex } from "./regex.ts";
import { compileUriTemplate } from "./uri-template.ts";
import { compileMetadataMatcher, compileRuntimeFraction } from "./value-matchers.ts";

export type MatchParts = Pick<
  Route,
  "path" | "headers" | "query" | "metadata" | "grpcOnly" | "fraction"
>;

const matchFields = {
  used: [
    "prefix",
    "path",
    "safe_regex",
    "connect_matcher",
    "path_separated_prefix",
    "path_match_policy",
    "case_sensitive",
    "runtime_fraction",
    "headers",
    "query_parameters",
    "grpc",
    "dynamic_metadata",
  ],
};

export function compileMatch(match: RouteMatch | undefined, path: Path, notes: Notes): MatchParts {
  if (match === undefined) throw new CompileError(path, "is missing");
  checkFields(match, RouteMatchSchema, path, notes, matchFields);
  const fraction = match.runtimeFraction;
  return {
    path: compilePath(match, path, notes),
    headers: match.headers.map((one, index) =>
      compileHeaderMatcher(one, item(path, "headers", index), notes),
    ),
    query: match.queryParameters.map((one, index) =>
      compileQueryMatcher(one, item(path, "query_parameters", index), notes),
    ),
    metadata: match.dynamicMetadata.map((one, index) =>
      compileMetadataMatcher(one, item(path, "dynamic_metadata", index), notes),
    ),
    grpcOnly: match.grpc !== undefined,
    fraction:
      fraction === undefined
        ? undefined
        : compileRuntimeFraction(fraction, at(path, "runtime_fraction"), notes),
  };
}

function compilePath(match: RouteMatch, path: Path, notes: Notes): PathMatcher {
  const { pathSpecifier: specifier } = match;
  const caseSensitive = match.caseSensitive ?? true;
  const cased = (value: string) => (caseSensitive ? value : value.toLowerCase());
  switch (specifier.case) {
    case "prefix":
      return specifier.value === ""
        ? { kind: "any" }
        : { kind: "prefix", value: cased(specifier.value), caseSensitive };
    case "path":
      return { kind: "exact", value: cased(specifier.value), caseSensitive };
    case "pathSeparatedPrefix":
      if (!/^[^?#]+[^?#/]$/.test(specifier.value))
        throw new CompileError(
          at(path, "path_separated_prefix"),
          `"${specifier.value}" must be more than a slash, without query, and not end in one`,
        );
      return { kind: "separated-prefix", value: cased(specifier.value), caseSensitive };
    case "safeRegex":
      return {
        kind: "regex",
        regex: compileRegex(specifier.value, at(path, "safe_regex"), notes),
      };
    case "connectMatcher":
      return { kind: "connect" };
    case "pathMatchPolicy":
      return template(specifier.value, at(path, "path_match_policy"), notes);
    default:
      throw new CompileError(path, "says nothing about the path");
  }
}

const templateFields = { used: ["path_template"] };

function template(policy: TypedExtensionConfig, path: Path, notes: Notes): PathMatcher {
  const inside = at(path, "typed_config");
  const config = unpackAs(policy.typedConfig, UriTemplateMatchConfigSchema, inside);
  checkFields(config, UriTemplateMatchConfigSchema, inside, notes, templateFields);
  return {
    kind: "template",
    template: compileUriTemplate(config.pathTemplate, at(inside, "path_template")),
  };
}
