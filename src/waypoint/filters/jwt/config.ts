/** jwt_authn as plain data (wire/waypoint.md section 6.4). */
import type { StringMatcher } from "../../model/matchers.ts";
import type { RouteMatch } from "../../model/route.ts";
import type { KeySource } from "./key-source.ts";

export interface JwtConfig {
  readonly providers: ReadonlyMap<string, JwtProvider>;
  readonly rules: readonly JwtRule[];
  readonly bypassCorsPreflight: boolean;
  /** 401 and 403 without a body and details. */
  readonly stripFailureResponse: boolean;
}

export interface JwtRule {
  readonly match: RouteMatch;
  /** Undefined: nothing is asked of these requests. */
  readonly requires: JwtRequirement | undefined;
}

export type JwtRequirement =
  | {
      readonly kind: "provider";
      readonly provider: string;
      /** Instead of the provider's. */
      readonly audiences: readonly string[] | undefined;
    }
  | { readonly kind: "any"; readonly of: readonly JwtRequirement[] }
  | { readonly kind: "all"; readonly of: readonly JwtRequirement[] }
  | { readonly kind: "allow-missing" }
  | { readonly kind: "allow-missing-or-failed" };

export interface JwtProvider {
  readonly name: string;
  /** "": any issuer. */
  readonly issuer: string;
  /** Empty: any audience. */
  readonly audiences: readonly string[];
  readonly subjects: StringMatcher | undefined;
  readonly requireExpiration: boolean;
  /** exp - iat (or now) at most; undefined: no limit. */
  readonly maxLifetimeS: number | undefined;
  readonly clockSkewS: number;
  readonly keys: KeySource;
  readonly locations: JwtLocations;
  readonly forward: boolean;
  /** Lower-case; "": none. */
  readonly forwardPayloadHeader: string;
  readonly padForwardPayload: boolean;
  readonly payloadInMetadata: string;
  readonly headerInMetadata: string;
  readonly failedStatusInMetadata: string;
  readonly spaceDelimitedClaims: readonly string[];
  readonly claimToHeaders: readonly {
    readonly header: string;
    readonly claim: readonly string[];
  }[];
  readonly clearRouteCache: boolean;
}

export interface JwtLocations {
  readonly headers: readonly { readonly name: string; readonly valuePrefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
}
