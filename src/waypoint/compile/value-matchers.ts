/** Matchers of dynamic metadata, and fractions. */
import {
  type RuntimeFractionalPercent,
  RuntimeFractionalPercentSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  type MetadataMatcher as MetadataMatcherMessage,
  MetadataMatcherSchema,
} from "../../shared/wire/gen/envoy/type/matcher/v3/metadata_pb.js";
import type { DoubleMatcher } from "../../shared/wire/gen/envoy/type/matcher/v3/number_pb.js";
import {
  type ValueMatcher as ValueMatcherMessage,
  ValueMatcherSchema,
} from "../../shared/wire/gen/envoy/type/matcher/v3/value_pb.js";
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
} from "../../shared/wire/gen/envoy/type/v3/percent_pb.js";
import type { Fraction, MetadataMatcher, ValueMatcher } from "../model/matchers.ts";
import { compileStringMatcher } from "./matchers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const metadataFields = { used: ["filter", "path", "value", "invert"] };

export function compileMetadataMatcher(
  matcher: MetadataMatcherMessage,
  path: Path,
  notes: Notes,
): MetadataMatcher {
  checkFields(matcher, MetadataMatcherSchema, path, notes, metadataFields);
  const keys = matcher.path.map(({ segment }, index) => {
    if (segment.case !== "key") throw new CompileError(item(path, "path", index), "has no key");
    return segment.value;
  });
  if (keys.length === 0) throw new CompileError(at(path, "path"), "is empty");
  return {
    filter: matcher.filter,
    path: keys,
    value: compileValueMatcher(matcher.value, at(path, "value"), notes),
    invert: matcher.invert,
  };
}

const valueFields = {
  used: [
    "null_match",
    "double_match",
    "string_match",
    "bool_match",
    "present_match",
    "list_match",
    "or_match",
  ],
};

export function compileValueMatcher(
  matcher: ValueMatcherMessage | undefined,
  path: Path,
  notes: Notes,
): ValueMatcher {
  if (matcher === undefined) throw new CompileError(path, "is missing");
  checkFields(matcher, ValueMatcherSchema, path, notes, valueFields);
  const { matchPattern: pattern } = matcher;
  switch (pattern.case) {
    case "nullMatch":
      return { kind: "null" };
    case "boolMatch":
      return { kind: "bool", value: pattern.value };
    case "presentMatch":
      return { kind: "present", present: pattern.value };
    case "stringMatch": {
      const inner = compileStringMatcher(pattern.value, at(path, "string_match"), notes);
      return { kind: "string", matcher: inner };
    }
    case "doubleMatch":
      return doubleMatcher(pattern.value, at(path, "double_match"));
    case "listMatch": {
      const { matchPattern: list } = pattern.value;
      if (list.case !== "oneOf") throw new CompileError(at(path, "list_match"), "has no one_of");
      const oneOf = compileValueMatcher(list.value, at(path, "list_match.one_of"), notes);
      return { kind: "list", oneOf };
    }
    case "orMatch": {
      const inside = at(path, "or_match");
      const matchers = pattern.value.valueMatchers.map((one, index) =>
        compileValueMatcher(one, item(inside, "value_matchers", index), notes),
      );
      return { kind: "or", matchers };
    }
    default:
      throw new CompileError(path, "says nothing to match");
  }
}

function doubleMatcher({ matchPattern: pattern }: DoubleMatcher, path: Path): ValueMatcher {
  if (pattern.case === "exact") return { kind: "double", exact: pattern.value };
  if (pattern.case === "range")
    return { kind: "double", range: [pattern.value.start, pattern.value.end] };
  throw new CompileError(path, "says nothing to match");
}

const runtimeFields = { used: ["default_value", "runtime_key"] };

/** There is no runtime here: the default value holds, and the key is noted. */
export function compileRuntimeFraction(
  fraction: RuntimeFractionalPercent,
  path: Path,
  notes: Notes,
): Fraction {
  checkFields(fraction, RuntimeFractionalPercentSchema, path, notes, runtimeFields);
  if (fraction.runtimeKey !== "")
    notes.decorates(at(path, "runtime_key"), "there is no runtime; default_value holds");
  return compileFraction(fraction.defaultValue, at(path, "default_value"));
}

const denominators = {
  [Denominator.HUNDRED]: 100,
  [Denominator.TEN_THOUSAND]: 10_000,
  [Denominator.MILLION]: 1_000_000,
} as const;

export function compileFraction(fraction: FractionalPercent | undefined, path: Path): Fraction {
  // An absent message is zero of a hundred, as protobuf says.
  if (fraction === undefined) return { numerator: 0, denominator: 100 };
  const denominator = denominators[fraction.denominator];
  if (denominator === undefined) throw new CompileError(at(path, "denominator"), "is unknown");
  return { numerator: fraction.numerator, denominator };
}
