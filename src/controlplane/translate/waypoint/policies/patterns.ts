/** Values of authorization rules as matchers: `x`, `x*`, `*x` and `*` mean exact, prefix, suffix and presence. */
import { parseCidr } from "../../../../shared/net/cidr.ts";
import type { CidrRangeSchema } from "../../../../shared/wire/gen/envoy/config/core/v3/address_pb.js";
import type { HeaderMatcherSchema } from "../../../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { StringMatcherInit } from "../routes/match.ts";
import { quoted } from "../routes/rewrite.ts";
import type { Init } from "../wire.ts";

export const SPIFFE = "spiffe://";

export function regexMatcher(regex: string): StringMatcherInit {
  return { matchPattern: { case: "safeRegex", value: { regex } } };
}

export function exactMatcher(value: string, ignoreCase = false): StringMatcherInit {
  return { matchPattern: { case: "exact", value }, ignoreCase };
}

export function prefixMatcher(value: string, ignoreCase = false): StringMatcherInit {
  return { matchPattern: { case: "prefix", value }, ignoreCase };
}

export function suffixMatcher(value: string, ignoreCase = false): StringMatcherInit {
  return { matchPattern: { case: "suffix", value }, ignoreCase };
}

/** Something must be there. An empty prefix or suffix would not be valid. */
export const anything = regexMatcher(".+");

/** `scheme` stands before the whole value, and is not written in it. */
export function textPattern(value: string, scheme = ""): StringMatcherInit {
  if (value === "*") return anything;
  if (value.startsWith("*"))
    return scheme === ""
      ? suffixMatcher(value.slice(1))
      : regexMatcher(`${scheme}.*${quoted(value.slice(1))}`);
  if (value.endsWith("*")) return prefixMatcher(scheme + value.slice(0, -1));
  return exactMatcher(scheme + value);
}

export function headerPattern(
  name: string,
  value: string,
  ignoreCase = false,
): Init<typeof HeaderMatcherSchema> {
  if (value === "*") return { name, headerMatchSpecifier: { case: "presentMatch", value: true } };
  const matcher = value.startsWith("*")
    ? suffixMatcher(value.slice(1), ignoreCase)
    : value.endsWith("*")
      ? prefixMatcher(value.slice(0, -1), ignoreCase)
      : exactMatcher(value, ignoreCase);
  return { name, headerMatchSpecifier: { case: "stringMatch", value: matcher } };
}

/** Undefined for what is no address and no block. */
export function addressRange(text: string): Init<typeof CidrRangeSchema> | undefined {
  const cidr = parseCidr(text);
  return cidr && { addressPrefix: cidr.ip, prefixLen: cidr.prefixLength };
}

/** `a[b][c]` after its prefix as a list; a value with other brackets is one name. Undefined without any. */
export function bracketed(text: string): readonly string[] | undefined {
  if (!text.startsWith("[") || !text.endsWith("]")) return undefined;
  const inner = text.slice(1, -1);
  const parts = inner.split("][");
  return parts.some((part) => /[[\]]/.test(part)) ? [inner] : parts;
}
