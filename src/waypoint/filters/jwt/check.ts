/** What the claims of a token must say, apart from its signature. Pure. */
import { matchesString } from "../../routing/match.ts";
import type { JwtProvider } from "./config.ts";
import type { JwtStatus } from "./status.ts";
import type { Token } from "./token.ts";

/** `audiences` replace the provider's when a requirement names its own. */
export function checkClaims(
  token: Token,
  provider: JwtProvider,
  audiences: readonly string[] | undefined,
  nowS: number,
): JwtStatus {
  const { clockSkewS } = provider;
  if (nowS + clockSkewS < token.nbf) return "Jwt not yet valid";
  if (token.exp !== 0 && nowS > token.exp + clockSkewS) return "Jwt is expired";
  if (!audienceAllowed(audiences ?? provider.audiences, token.aud))
    return "Audiences in Jwt are not allowed";
  if (provider.subjects !== undefined && !matchesString(provider.subjects, token.sub))
    return "Jwt verification fails";
  return lifetimeAllowed(token, provider, nowS) ? "OK" : "Jwt verification fails";
}

function lifetimeAllowed(token: Token, provider: JwtProvider, nowS: number): boolean {
  const { requireExpiration, maxLifetimeS } = provider;
  if (token.exp === 0) return !requireExpiration && maxLifetimeS === undefined;
  return maxLifetimeS === undefined || token.exp - nowS <= maxLifetimeS + provider.clockSkewS;
}

/** Scheme and a trailing slash do not count: `https://api.example/` is `api.example`. */
export function bareAudience(audience: string): string {
  const start = audience.startsWith("http://") ? 7 : audience.startsWith("https://") ? 8 : 0;
  const end = audience.endsWith("/") ? audience.length - 1 : audience.length;
  return audience.slice(start, end);
}

function audienceAllowed(allowed: readonly string[], audiences: readonly string[]): boolean {
  if (allowed.length === 0) return true;
  for (const audience of audiences) if (allowed.includes(bareAudience(audience))) return true;
  return false;
}

/** Of those that look at a place, who issued this: by name, else one that takes any issuer. */
export function providerOf(
  providers: readonly JwtProvider[],
  issuer: string,
): JwtProvider | undefined {
  return (
    providers.find((provider) => provider.issuer !== "" && provider.issuer === issuer) ??
    providers.find((provider) => provider.issuer === "")
  );
}
