/** Requirements prepared for requests: who is asked, where is looked. Made once per configuration. */
import type { JwtConfig, JwtProvider, JwtRequirement } from "./config.ts";
import { type Location, locationsOf } from "./locate.ts";

export type Verifier =
  | {
      readonly kind: "provider";
      readonly provider: JwtProvider;
      readonly audiences: readonly string[] | undefined;
      readonly locations: readonly Location[];
    }
  | { readonly kind: "any"; readonly of: readonly Verifier[] }
  | { readonly kind: "all"; readonly of: readonly Verifier[] }
  | LenientVerifier;

/** Missing tokens are fine; with `failedToo` bad ones are as well. */
export interface LenientVerifier {
  readonly kind: "lenient";
  readonly failedToo: boolean;
  readonly providers: readonly JwtProvider[];
  readonly locations: readonly Location[];
}

export function verifierOf(requirement: JwtRequirement, config: JwtConfig): Verifier {
  switch (requirement.kind) {
    case "provider": {
      const provider = config.providers.get(requirement.provider);
      // The compiler has refused requirements that name no provider.
      if (provider === undefined) throw new RangeError(`no provider ${requirement.provider}`);
      const { audiences } = requirement;
      return { kind: "provider", provider, audiences, locations: locationsOf([provider]) };
    }
    case "all":
      return { kind: "all", of: requirement.of.map((each) => verifierOf(each, config)) };
    case "any":
      return anyOf(requirement.of, config);
    case "allow-missing":
    case "allow-missing-or-failed":
      return lenient(requirement.kind, [...config.providers.values()]);
  }
}

/** Leniency among alternatives is about the providers that stand beside it, and is asked last. */
function anyOf(requirements: readonly JwtRequirement[], config: JwtConfig): Verifier {
  const beside = new Set<JwtProvider>();
  const strict: Verifier[] = [];
  let leniency: "allow-missing" | "allow-missing-or-failed" | undefined;
  for (const requirement of requirements) {
    if (requirement.kind === "allow-missing-or-failed") leniency = requirement.kind;
    else if (requirement.kind === "allow-missing") leniency ??= requirement.kind;
    else {
      const verifier = verifierOf(requirement, config);
      if (verifier.kind === "provider") beside.add(verifier.provider);
      strict.push(verifier);
    }
  }
  if (leniency === undefined) return { kind: "any", of: strict };
  const providers = beside.size === 0 ? [...config.providers.values()] : [...beside];
  return { kind: "any", of: [...strict, lenient(leniency, providers)] };
}

function lenient(
  kind: "allow-missing" | "allow-missing-or-failed",
  providers: readonly JwtProvider[],
): LenientVerifier {
  return {
    kind: "lenient",
    failedToo: kind === "allow-missing-or-failed",
    providers,
    locations: locationsOf(providers),
  };
}
