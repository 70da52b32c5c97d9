/** CORS settings of a route as plain data (wire/waypoint.md section 5.2). */
import type { Fraction, StringMatcher } from "../../model/matchers.ts";

export interface CorsPolicy {
  /** Undefined: always. */
  readonly enabled: Fraction | undefined;
  readonly allowOrigins: readonly StringMatcher[];
  /** Comma-separated, as they go on the wire; "" leaves the header out. */
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  readonly allowPrivateNetwork: boolean;
  readonly forwardNotMatchingPreflights: boolean;
}
