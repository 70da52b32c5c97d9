/** Matchers as plain data; compiled by compile/matchers.ts, evaluated by routing/match.ts. */

/** RE2 semantics, linear time: implemented over re2js, always a full match (Envoy's `safe_regex`). */
export interface Regex {
  readonly source: string;
  /** Capturing groups. */
  readonly groups: number;
  fullMatch(text: string): boolean;
  /** All matches replaced; `\1` refers to groups, as RE2's rewrite does. */
  replaceAll(text: string, substitution: string): string;
}

export type StringMatcher =
  | { readonly kind: "exact"; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: "prefix"; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: "suffix"; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: "contains"; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: "regex"; readonly regex: Regex };

export interface HeaderMatcher {
  /** Lower-case; may be `:method`, `:authority`, `:path`, `:scheme`. */
  readonly name: string;
  readonly test:
    | { readonly kind: "present"; readonly present: boolean }
    | { readonly kind: "string"; readonly matcher: StringMatcher }
    | { readonly kind: "range"; readonly start: bigint; readonly end: bigint };
  readonly invert: boolean;
  readonly treatMissingAsEmpty: boolean;
}

export interface QueryMatcher {
  readonly name: string;
  /** False: must be absent. */
  readonly present: boolean;
  /** Undefined: present is enough. */
  readonly matcher: StringMatcher | undefined;
}

export type ValueMatcher =
  | { readonly kind: "null" }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly matcher: StringMatcher }
  | {
      readonly kind: "double";
      readonly exact?: number;
      readonly range?: readonly [start: number, end: number];
    }
  | { readonly kind: "present"; readonly present: boolean }
  | { readonly kind: "list"; readonly oneOf: ValueMatcher }
  | { readonly kind: "or"; readonly matchers: readonly ValueMatcher[] };

/** Dynamic metadata: `metadata[filter]` then down the path. */
export interface MetadataMatcher {
  readonly filter: string;
  readonly path: readonly string[];
  readonly value: ValueMatcher;
  readonly invert: boolean;
}

/** Numerator over denominator; drawn per request by the random source of the context. */
export interface Fraction {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
}
