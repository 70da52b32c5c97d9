/** Whether a peer's certificate has one of the names that are accepted. Pure. */
import { createHash, type X509Certificate } from "node:crypto";
import { peerNames } from "../../../shared/identity/x509-names.ts";
import type { PeerNameRule, PeerRules } from "../../model/upstream-transport.ts";
import { matchesString } from "../../routing/match.ts";

/** What is wrong with the peer; undefined: nothing. */
export function peerProblem(certificate: X509Certificate, rules: PeerRules): string | undefined {
  return hashProblem(certificate, rules) ?? nameProblem(certificate, rules.names);
}

function nameProblem(
  certificate: X509Certificate,
  rules: readonly PeerNameRule[],
): string | undefined {
  if (rules.length === 0) return undefined;
  const names = peerNames(certificate.raw);
  const isAccepted = names.some((name) =>
    rules.some(
      (rule) =>
        (rule.type === "any" ? name.type !== "email" : rule.type === name.type) &&
        matchesName(rule, name.type, name.value),
    ),
  );
  if (isAccepted) return undefined;
  const has = names.map(({ value }) => value).join(", ") || "none";
  return `verify SAN list: none of the peer's names is accepted (its names: ${has})`;
}

/** An exact rule for a DNS name also takes a wildcard of the certificate, one label deep (RFC 6125 section 6.4.3). */
function matchesName(rule: PeerNameRule, type: PeerNameRule["type"], value: string): boolean {
  const { matcher } = rule;
  if (type !== "dns") return matchesString(matcher, value);
  const name = value.toLowerCase();
  if (matcher.kind !== "exact") return matchesString(matcher, name);
  const wanted = matcher.value.toLowerCase();
  if (wanted === name) return true;
  if (!name.startsWith("*.")) return false;
  const dot = wanted.indexOf(".");
  return dot > 0 && wanted.slice(dot) === name.slice(1);
}

function hashProblem(certificate: X509Certificate, rules: PeerRules): string | undefined {
  const { certificateHashes, spkiHashes } = rules;
  if (certificateHashes.length === 0 && spkiHashes.length === 0) return undefined;
  const whole = createHash("sha256").update(certificate.raw).digest("hex");
  const spki = createHash("sha256")
    .update(certificate.publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
  const isPinned =
    certificateHashes.some((hash) => hash.replaceAll(":", "").toLowerCase() === whole) ||
    spkiHashes.includes(spki);
  return isPinned ? undefined : "the peer's certificate is none of the pinned ones";
}
