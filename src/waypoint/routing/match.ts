/** Evaluates matchers of model/matchers.ts. Allocates nothing in the common cases. */
import type { MetadataValue } from "../filters/filter.ts";
import type { Fields, RequestHead } from "../http/message.ts";
import type {
  Fraction,
  HeaderMatcher,
  MetadataMatcher,
  StringMatcher,
  ValueMatcher,
} from "../model/matchers.ts";

export function matchesString(matcher: StringMatcher, text: string): boolean {
  switch (matcher.kind) {
    case "exact":
      return folded(matcher.ignoreCase, text) === matcher.value;
    case "prefix":
      return folded(matcher.ignoreCase, text).startsWith(matcher.value);
    case "suffix":
      return folded(matcher.ignoreCase, text).endsWith(matcher.value);
    case "contains":
      return folded(matcher.ignoreCase, text).includes(matcher.value);
    case "regex":
      return matcher.regex.fullMatch(text);
  }
}

function folded(ignoreCase: boolean, text: string): string {
  return ignoreCase ? text.toLowerCase() : text;
}

/** A header for a person to read: pseudo headers by their name, several fields of one name joined with commas. */
export function headerValue(head: RequestHead, name: string): string | undefined {
  if (name.charCodeAt(0) !== 0x3a) return head.fields.joined(name);
  switch (name) {
    case ":method":
      return head.method;
    case ":authority":
      return head.authority;
    case ":path":
      return head.path === "" ? undefined : head.path;
    case ":scheme":
      return head.scheme;
    case ":protocol":
      return head.upgrade;
    default:
      return undefined;
  }
}

export function matchesHeader(matcher: HeaderMatcher, head: RequestHead): boolean {
  return matcher.name.charCodeAt(0) === 0x3a
    ? matchesHeaderValue(matcher, headerValue(head, matcher.name))
    : matchesFields(matcher, head.fields);
}

/** Of several fields with this name one is enough; each is looked at by itself, never joined with the others. */
export function matchesFields(matcher: HeaderMatcher, { flat }: Fields): boolean {
  const { name, test, invert } = matcher;
  let found = false;
  for (let at = 0; at < flat.length; at += 2) {
    if (flat[at] !== name) continue;
    found = true;
    if (test.kind === "present") break;
    if (holds(test, flat[at + 1] ?? "")) return !invert;
  }
  return found && test.kind !== "present" ? invert : matchesPresence(matcher, found);
}

/** The same for a header that can stand only once. */
export function matchesHeaderValue(matcher: HeaderMatcher, value: string | undefined): boolean {
  const { test, invert } = matcher;
  if (value === undefined || test.kind === "present")
    return matchesPresence(matcher, value !== undefined);
  return holds(test, value) !== invert;
}

/** What can be said without a value. */
function matchesPresence(matcher: HeaderMatcher, found: boolean): boolean {
  const { test, invert } = matcher;
  if (test.kind === "present")
    return ((found || matcher.treatMissingAsEmpty) === test.present) !== invert;
  // Inverted or not: what is not there does not match, unless it counts as empty.
  return matcher.treatMissingAsEmpty && holds(test, "") !== invert;
}

type ValueTest = Exclude<HeaderMatcher["test"], { readonly kind: "present" }>;

function holds(test: ValueTest, value: string): boolean {
  return test.kind === "string"
    ? matchesString(test.matcher, value)
    : inRange(value, test.start, test.end);
}

const decimal = /^\s*[+-]?\d+\s*$/;

function inRange(text: string, start: bigint, end: bigint): boolean {
  if (text.length > 24 || !decimal.test(text)) return false;
  const number = BigInt(text.trim().replace(/^\+/, ""));
  return number >= start && number < end;
}

export type Metadata = ReadonlyMap<string, { readonly [key: string]: MetadataValue }>;

export function matchesMetadata(matcher: MetadataMatcher, metadata: Metadata): boolean {
  return (
    matchesValue(matcher.value, metadataAt(metadata, matcher.filter, matcher.path)) !==
    matcher.invert
  );
}

/** Undefined: nothing there. */
export function metadataAt(
  metadata: Metadata,
  filter: string,
  path: readonly string[],
): MetadataValue | undefined {
  let value: MetadataValue | undefined = metadata.get(filter);
  for (const key of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, key)) return undefined;
    value = (value as { readonly [key: string]: MetadataValue })[key];
  }
  return value;
}

export function matchesValue(matcher: ValueMatcher, value: MetadataValue | undefined): boolean {
  switch (matcher.kind) {
    case "null":
      return value === null;
    case "bool":
      return value === matcher.value;
    case "string":
      return typeof value === "string" && matchesString(matcher.matcher, value);
    case "double":
      return typeof value === "number" && matchesDouble(matcher, value);
    case "present":
      return matcher.present && value !== undefined;
    case "list":
      return Array.isArray(value) && value.some((one) => matchesValue(matcher.oneOf, one));
    case "or":
      return matcher.matchers.some((one) => matchesValue(one, value));
  }
}

function matchesDouble(
  matcher: Extract<ValueMatcher, { readonly kind: "double" }>,
  value: number,
): boolean {
  if (matcher.range !== undefined) return value >= matcher.range[0] && value < matcher.range[1];
  return value === matcher.exact;
}

/** `draw` is uniform in [0, 1). */
export function inFraction(fraction: Fraction, draw: number): boolean {
  return draw * fraction.denominator < fraction.numerator;
}
