/**
 * Certificate revocation lists (RFC 5280 section 5) and whether they name a certificate of a chain. A list counts only for the
 * issuer whose key signed it: two authorities may share a name. Its own expiry does not matter: old news is still news.
 */
import { verify, X509Certificate } from "node:crypto";
import {
  children,
  content,
  type DerValue,
  decode,
  encode,
  isContext,
  isSequence,
  oidText,
} from "./der.ts";
import { pemBlocks } from "./pem.ts";
import { signatureDigests } from "./signature.ts";
import { readExtensions, serialHexOf } from "./x509.ts";

export interface RevocationList {
  /** DER of the issuer's name. */
  readonly issuer: Buffer;
  readonly revokedSerials: ReadonlySet<string>;
  /** Whether this key signed the list. */
  signedBy(issuer: X509Certificate): boolean;
}

/** Critical extensions that do not change the meaning of an entry for us. */
const understood: ReadonlySet<string> = new Set(["2.5.29.20", "2.5.29.35"]);

function checkExtensions(list: DerValue | undefined): void {
  if (!isContext(list, 0)) return;
  // Delta and indirect lists say something else than "these serials of this issuer are revoked".
  for (const { oid, critical } of readExtensions(children(list)[0]).values())
    if (critical && !understood.has(oid)) throw new RangeError(`CRL extension ${oid} is not known`);
}

function readRevoked(list: DerValue | undefined): ReadonlySet<string> {
  const serials = new Set<string>();
  if (list !== undefined)
    for (const entry of children(list)) serials.add(serialHexOf(content(children(entry)[0])));
  return serials;
}

/** Reads one list; throws when it is not one or says something that we do not understand. */
export function readRevocationList(der: Uint8Array): RevocationList {
  const [body, algorithm, signature] = children(decode(der));
  if (body === undefined) throw new RangeError("CRL is cut");
  const fields = children(body);
  // The version is the only integer, and may be missing.
  const first = isSequence(fields[0]) ? 0 : 1;
  const issuer = fields[first + 1];
  if (!isSequence(issuer)) throw new RangeError("CRL without an issuer");
  // thisUpdate, then maybe nextUpdate, then maybe entries, then maybe extensions.
  const tail = fields.slice(first + 3);
  checkExtensions(tail.find((field) => isContext(field, 0)));
  const signed = encode(body);
  const bits = content(signature).subarray(1);
  const digest = signatureDigests.get(oidText(children(algorithm)[0]));
  if (digest === undefined) throw new RangeError("CRL with an unknown signature algorithm");
  const verdicts = new Map<string, boolean>();
  return {
    issuer: encode(issuer),
    revokedSerials: readRevoked(tail.find(isSequence)),
    signedBy: (certificate) => {
      const key = certificate.fingerprint256;
      let verdict = verdicts.get(key);
      if (verdict === undefined) {
        verdict = verify(digest, signed, certificate.publicKey, bits);
        verdicts.set(key, verdict);
      }
      return verdict;
    },
  };
}

/** All lists of a file: PEM blocks, or one list in DER. An empty file holds none. */
export function readRevocationLists(file: Buffer): readonly RevocationList[] {
  const text = file.toString("latin1");
  if (text.trim() === "") return [];
  if (!text.includes("-----BEGIN")) return [readRevocationList(file)];
  const blocks = pemBlocks(text, "X509 CRL");
  if (blocks.length === 0) throw new RangeError("no X509 CRL in PEM text");
  return blocks.map(readRevocationList);
}

interface Link {
  readonly serial: string;
  readonly issuerName: Buffer;
}

function readLink(der: Uint8Array): Link {
  const [body] = children(decode(der));
  const fields = children(body);
  const first = isContext(fields[0], 0) ? 1 : 0;
  const issuer = fields[first + 2];
  if (!isSequence(issuer)) throw new RangeError("certificate without an issuer");
  return { serial: serialHexOf(content(fields[first])), issuerName: encode(issuer) };
}

/** Throws when revocation could not be looked up for some certificate of a chain. */
export function checkReadable(chain: readonly Uint8Array[]): void {
  if (chain.length === 0) throw new RangeError("no certificate");
  for (const der of chain) {
    readLink(der);
    new X509Certificate(der);
  }
}

/**
 * The serial of the first revoked certificate in a chain (leaf first, each followed by its issuer). The last one is the
 * anchor, which nobody above it can revoke. A certificate without a list is fine: unknown status is accepted.
 */
export function revokedInChain(
  chain: readonly Uint8Array[],
  lists: readonly RevocationList[],
): string | undefined {
  if (lists.length === 0) return undefined;
  for (const [index, der] of chain.entries()) {
    const issuerDer = chain[index + 1];
    if (issuerDer === undefined) return undefined;
    const { serial, issuerName } = readLink(der);
    const candidates = lists.filter(
      (list) => list.revokedSerials.has(serial) && list.issuer.equals(issuerName),
    );
    if (candidates.length === 0) continue;
    const issuer = new X509Certificate(issuerDer);
    if (candidates.some((list) => list.signedBy(issuer))) return serial;
  }
  return undefined;
}
