/**
 * Answers about identities and addresses, which come again with every request of a connection: parsing an address or running
 * an expression over a SPIFFE id costs more than the rest of a policy.
 */
import { ipToBytes, parseIp } from "../../../shared/net/ip.ts";
import type { StringMatcher } from "../../model/matchers.ts";
import { matchesString } from "../../routing/match.ts";

/** Then all are forgotten: a mesh has fewer clients that are busy at once. */
const MAX_REMEMBERED = 4_096;

const addresses = new Map<string, Uint8Array | undefined>();

/** Octets of an address; undefined when the text is none, which no prefix contains. */
export function addressBytes(text: string): Uint8Array | undefined {
  const known = addresses.get(text);
  if (known !== undefined) return known;
  const ip = parseIp(text);
  const bytes = ip === undefined ? undefined : ipToBytes(ip);
  if (addresses.size >= MAX_REMEMBERED) addresses.clear();
  addresses.set(text, bytes);
  return bytes;
}

/** By matcher: gone with the policy that it belongs to. */
const identities = new WeakMap<StringMatcher, Map<string, boolean>>();

export function matchesIdentity(matcher: StringMatcher, identity: string): boolean {
  if (matcher.kind !== "regex") return matchesString(matcher, identity);
  let answers = identities.get(matcher);
  if (answers === undefined) {
    answers = new Map();
    identities.set(matcher, answers);
  }
  const known = answers.get(identity);
  if (known !== undefined) return known;
  const answer = matchesString(matcher, identity);
  if (answers.size >= MAX_REMEMBERED) answers.clear();
  answers.set(identity, answer);
  return answer;
}
