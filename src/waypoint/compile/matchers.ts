/** Envoy's matcher messages → model/matchers.ts; shared by routes, RBAC and whoever matches strings. */
import type { HeaderMatcher as HeaderMatcherMessage } from "../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import {
  HeaderMatcherSchema,
  type QueryParameterMatcher,
  QueryParameterMatcherSchema,
} from "../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import {
  type StringMatcher as StringMatcherMessage,
  StringMatcherSchema,
} from "../../shared/wire/gen/envoy/type/matcher/v3/string_pb.js";
import type { HeaderMatcher, QueryMatcher, StringMatcher } from "../model/matchers.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";
import { compileRegex } from "./regex.ts";

const stringFields = {
  used: ["exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case"],
};

export function compileStringMatcher(
  matcher: StringMatcherMessage | undefined,
  path: Path,
  notes: Notes,
): StringMatcher {
  if (matcher === undefined) throw new CompileError(path, "is missing");
  checkFields(matcher, StringMatcherSchema, path, notes, stringFields);
  const { matchPattern: pattern, ignoreCase } = matcher;
  switch (pattern.case) {
    case "exact":
    case "prefix":
    case "suffix":
    case "contains":
      return plainMatcher(pattern.case, pattern.value, ignoreCase);
    case "safeRegex":
      if (ignoreCase)
        throw new CompileError(at(path, "ignore_case"), "has no meaning for a safe_regex");
      return { kind: "regex", regex: compileRegex(pattern.value, at(path, "safe_regex"), notes) };
    default:
      throw new CompileError(path, "says nothing to match");
  }
}

function plainMatcher(
  kind: "exact" | "prefix" | "suffix" | "contains",
  value: string,
  ignoreCase = false,
): StringMatcher {
  return { kind, value: ignoreCase ? value.toLowerCase() : value, ignoreCase };
}

const headerFields = {
  used: [
    "name",
    "exact_match",
    "safe_regex_match",
    "range_match",
    "present_match",
    "prefix_match",
    "suffix_match",
    "contains_match",
    "string_match",
    "invert_match",
    "treat_missing_header_as_empty",
  ],
};

export function compileHeaderMatcher(
  matcher: HeaderMatcherMessage,
  path: Path,
  notes: Notes,
): HeaderMatcher {
  checkFields(matcher, HeaderMatcherSchema, path, notes, headerFields);
  if (matcher.name === "") throw new CompileError(at(path, "name"), "is empty");
  const name = matcher.name.toLowerCase();
  return {
    // Envoy knows `host` as the HTTP/1 spelling of `:authority`.
    name: name === "host" ? ":authority" : name,
    test: headerTest(matcher, path, notes),
    invert: matcher.invertMatch,
    treatMissingAsEmpty: matcher.treatMissingHeaderAsEmpty,
  };
}

function headerTest(
  { headerMatchSpecifier: test }: HeaderMatcherMessage,
  path: Path,
  notes: Notes,
): HeaderMatcher["test"] {
  switch (test.case) {
    case "exactMatch":
      // The deprecated field: empty means any value.
      return string(plainMatcher(test.value === "" ? "prefix" : "exact", test.value));
    case "prefixMatch":
      return string(plainMatcher("prefix", test.value));
    case "suffixMatch":
      return string(plainMatcher("suffix", test.value));
    case "containsMatch":
      return string(plainMatcher("contains", test.value));
    case "safeRegexMatch": {
      const regex = compileRegex(test.value, at(path, "safe_regex_match"), notes);
      return string({ kind: "regex", regex });
    }
    case "stringMatch":
      return string(compileStringMatcher(test.value, at(path, "string_match"), notes));
    case "rangeMatch":
      return { kind: "range", start: test.value.start, end: test.value.end };
    case "presentMatch":
      return { kind: "present", present: test.value };
    default:
      return { kind: "present", present: true };
  }
}

function string(matcher: StringMatcher): HeaderMatcher["test"] {
  return { kind: "string", matcher };
}

const queryFields = { used: ["name", "string_match", "present_match"] };

export function compileQueryMatcher(
  matcher: QueryParameterMatcher,
  path: Path,
  notes: Notes,
): QueryMatcher {
  checkFields(matcher, QueryParameterMatcherSchema, path, notes, queryFields);
  const { name, queryParameterMatchSpecifier: test } = matcher;
  if (name === "") throw new CompileError(at(path, "name"), "is empty");
  switch (test.case) {
    case "stringMatch":
      return {
        name,
        present: true,
        matcher: compileStringMatcher(test.value, at(path, "string_match"), notes),
      };
    case "presentMatch":
      return { name, present: test.value, matcher: undefined };
    default:
      return { name, present: true, matcher: undefined };
  }
}
