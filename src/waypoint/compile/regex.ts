/** Regular expressions of the configuration: RE2's language, matched in linear time whatever the input (over re2js). */
import { RE2JS } from "re2js";
import type { RegexMatchAndSubstitute } from "../../shared/wire/gen/envoy/type/matcher/v3/regex_pb.js";
import {
  RegexMatchAndSubstituteSchema,
  type RegexMatcher,
  RegexMatcherSchema,
} from "../../shared/wire/gen/envoy/type/matcher/v3/regex_pb.js";
import type { Regex } from "../model/matchers.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";
import { type Literal, literalOf, matchesLiteral } from "./regex-literal.ts";

/** What the reference's bootstrap allows (re2.max_program_size.error_level). */
const MAX_PROGRAM_SIZE = 32_768;

const cache = new Map<string, Regex>();
/** Expressions repeat from chain to chain; a mesh has few different ones. */
const MAX_CACHED = 4096;

export function compileRegex(matcher: RegexMatcher | undefined, path: Path, notes: Notes): Regex {
  if (matcher === undefined) throw new CompileError(path, "is missing");
  checkFields(matcher, RegexMatcherSchema, path, notes, regexFields);
  if (matcher.regex === "") throw new CompileError(at(path, "regex"), "is empty");
  return regexOf(matcher.regex, at(path, "regex"));
}

const regexFields = { used: ["regex"], decorative: ["google_re2"] };

/** From its source; the same object for the same source. */
export function regexOf(source: string, path: Path): Regex {
  const known = cache.get(source);
  if (known !== undefined) return known;
  const regex = new LinearRegex(source, path);
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(source, regex);
  return regex;
}

export interface Rewrite {
  readonly regex: Regex;
  readonly substitution: string;
}

export function compileRewrite(
  rewrite: RegexMatchAndSubstitute,
  path: Path,
  notes: Notes,
): Rewrite {
  checkFields(rewrite, RegexMatchAndSubstituteSchema, path, notes, rewriteFields);
  const regex = compileRegex(rewrite.pattern, at(path, "pattern"), notes);
  checkSubstitution(rewrite.substitution, regex, at(path, "substitution"));
  return { regex, substitution: rewrite.substitution };
}

const rewriteFields = { used: ["pattern", "substitution"] };

/** RE2 refuses a rewrite that names a group which the pattern does not have, or ends in a lone backslash. */
function checkSubstitution(substitution: string, regex: Regex, path: Path): void {
  for (let index = substitution.indexOf("\\"); index !== -1; ) {
    const next = substitution[index + 1];
    if (next === undefined || !/[0-9\\]/.test(next))
      throw new CompileError(
        path,
        "has a backslash that is followed by neither digit nor backslash",
      );
    if (next !== "\\" && Number(next) > regex.groups)
      throw new CompileError(path, `names group ${next}, but the pattern has ${regex.groups}`);
    index = substitution.indexOf("\\", index + 2);
  }
}

class LinearRegex implements Regex {
  readonly source: string;
  readonly groups: number;
  readonly #compiled: RE2JS;
  /** Most expressions of routes are a literal with `.*` after it: no machine needed. */
  readonly #literal: Literal | undefined;

  constructor(source: string, path: Path) {
    this.source = source;
    this.#compiled = parsed(source, path);
    const size = this.#compiled.programSize();
    if (size > MAX_PROGRAM_SIZE)
      throw new CompileError(
        path,
        `makes a program of ${size} instructions; the limit is ${MAX_PROGRAM_SIZE}`,
      );
    this.groups = this.#compiled.groupCount();
    this.#literal = literalOf(source);
  }

  fullMatch(text: string): boolean {
    if (this.#literal !== undefined) return matchesLiteral(this.#literal, text);
    return this.#compiled.testExact(text);
  }

  replaceAll(text: string, substitution: string): string {
    const matcher = this.#compiled.matcher(text);
    let out = "";
    let from = 0;
    let lastEnd = -1;
    while (matcher.find()) {
      const start = matcher.start();
      const end = matcher.end();
      // RE2 takes no empty match where the one before ended.
      if (start === end && start === lastEnd) continue;
      out += text.slice(from, start) + expand(substitution, matcher);
      from = end;
      lastEnd = end;
    }
    return lastEnd === -1 ? text : out + text.slice(from);
  }
}

function parsed(source: string, path: Path): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    throw refusal(path, error);
  }
}

function refusal(path: Path, error: unknown): CompileError {
  const reason = error instanceof Error ? error.message : String(error);
  return new CompileError(path, `is not a regular expression of RE2: ${reason}`, { cause: error });
}

interface Groups {
  group(index: number): string | null;
}

function expand(substitution: string, groups: Groups): string {
  let out = "";
  let from = 0;
  for (let slash = substitution.indexOf("\\"); slash !== -1; ) {
    const next = substitution[slash + 1] ?? "";
    out += substitution.slice(from, slash);
    out += next === "\\" ? "\\" : (groups.group(Number(next)) ?? "");
    from = slash + 2;
    slash = substitution.indexOf("\\", from);
  }
  return out + substitution.slice(from);
}
