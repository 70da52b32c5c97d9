/** Who a peer is and whether it is who we want, from the URI names of its verified certificate. Pure. */
import { parseSpiffe, type SpiffeIdentity } from "./spiffe.ts";

export interface AcceptedPeer {
  readonly kind: "accepted";
  readonly peer: SpiffeIdentity;
}

export type PeerVerdict = AcceptedPeer | { readonly kind: "refused"; readonly reason: string };

const quoted = (names: readonly string[]): string =>
  names.length === 0 ? "none" : names.map((name) => `"${name}"`).join(", ");

function identitiesOf(uris: readonly string[]): readonly SpiffeIdentity[] {
  return uris.map(parseSpiffe).filter((identity) => identity !== undefined);
}

/** As a client: one of the peer's SPIFFE names must be one of the accepted ones, character by character. */
export function acceptedPeer(uris: readonly string[], accepted: readonly string[]): PeerVerdict {
  for (const uri of uris) {
    const peer = parseSpiffe(uri);
    if (peer !== undefined && accepted.includes(uri)) return { kind: "accepted", peer };
  }
  return {
    kind: "refused",
    reason: `identity verification error: peer did not present the expected identity (${quoted(accepted)}), its names: ${quoted(uris)}`,
  };
}

/** Trust domains besides our own whose members may come in; "every": whatever the roots vouch for. */
export type AlsoTrusted = readonly string[] | "every";

/** As a server: one of the peer's SPIFFE names must be in a trusted domain; its first one is who it is. */
export function trustedPeer(
  uris: readonly string[],
  trustDomain: string,
  alsoTrusted: AlsoTrusted = [],
): PeerVerdict {
  const identities = identitiesOf(uris);
  const [peer] = identities;
  if (peer === undefined)
    return { kind: "refused", reason: `peer has no SPIFFE identity, its names: ${quoted(uris)}` };
  const trusted = (name: string): boolean =>
    name === trustDomain || alsoTrusted === "every" || alsoTrusted.includes(name);
  if (!identities.some((identity) => trusted(identity.trustDomain)))
    return {
      kind: "refused",
      reason: `peer is of another trust domain than "${trustDomain}", its names: ${quoted(uris)}`,
    };
  return { kind: "accepted", peer };
}
