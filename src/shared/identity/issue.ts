/** Certificates made and signed by a P-256 key: roots and leaves as RFC 5280 wants them. */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import * as der from "./der.ts";
import { type CertificateInfo, generalName, oid, readCertificate } from "./x509.ts";

export interface Issuer {
  readonly certificate: CertificateInfo;
  readonly privateKey: KeyObject;
}

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface LeafNames {
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  /** Addresses as 4 or 16 bytes. */
  readonly ips?: readonly Uint8Array[];
}

/** Bits of KeyUsage, most significant first (RFC 5280 section 4.2.1.3). */
const keyUsage = {
  /** digitalSignature, keyEncipherment */
  leaf: { bits: 0b1010_0000, unused: 5 },
  /** keyCertSign, cRLSign */
  authority: { bits: 0b0000_0110, unused: 1 },
} as const;

function extension(id: string, critical: boolean, value: der.DerValue): der.DerValue {
  const bytes = der.octetString(der.encode(value));
  return critical
    ? der.sequence(der.objectId(id), der.boolean(true), bytes)
    : der.sequence(der.objectId(id), bytes);
}

/** Method 1 of RFC 7093: the left 160 bits of the key's SHA-256. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const spki = publicKey.export({ type: "spki", format: "der" });
  const [, bits] = der.children(der.decode(spki));
  return createHash("sha256").update(der.content(bits).subarray(1)).digest().subarray(0, 20);
}

/** 127 random bits: positive, and never two alike. */
function randomSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

function names(parts: Readonly<Record<string, string>>): der.DerValue {
  return der.sequence(
    ...Object.entries(parts).map(([id, text]) =>
      der.set(der.sequence(der.objectId(id), der.utf8String(text))),
    ),
  );
}

interface Body {
  readonly issuerName: der.DerValue;
  readonly subjectName: der.DerValue;
  readonly validity: Validity;
  readonly publicKey: KeyObject;
  readonly extensions: readonly der.DerValue[];
}

function signBody(body: Body, privateKey: KeyObject): CertificateInfo {
  const algorithm = der.sequence(der.objectId(oid.ecdsaWithSha256));
  const toBeSigned = der.sequence(
    der.tagged(0, der.unsignedInteger(Buffer.from([2]))),
    der.unsignedInteger(randomSerial()),
    algorithm,
    body.issuerName,
    der.sequence(der.time(body.validity.notBeforeMs), der.time(body.validity.notAfterMs)),
    body.subjectName,
    der.raw(body.publicKey.export({ type: "spki", format: "der" })),
    der.tagged(3, der.sequence(...body.extensions)),
  );
  const signature = sign("sha256", der.encode(toBeSigned), privateKey);
  return readCertificate(der.encode(der.sequence(toBeSigned, algorithm, der.bitString(signature))));
}

const subjectKeyExtension = (keyId: Buffer): der.DerValue =>
  extension(oid.subjectKeyIdentifier, false, der.octetString(keyId));

const authorityUsage = extension(
  oid.keyUsage,
  true,
  der.bitString(Buffer.from([keyUsage.authority.bits]), keyUsage.authority.unused),
);

function authorityKeyExtension(issuer: Issuer): der.DerValue {
  const keyId =
    issuer.certificate.subjectKeyId ?? keyIdentifier(createPublicKey(issuer.privateKey));
  return extension(oid.authorityKeyIdentifier, false, der.sequence(der.taggedBytes(0, keyId)));
}

/** A self-signed certificate authority. `privateKey` is a P-256 key. */
export function issueRoot(
  privateKey: KeyObject,
  organization: string,
  validity: Validity,
): CertificateInfo {
  const publicKey = createPublicKey(privateKey);
  const name = names({ [oid.organization]: organization });
  return signBody(
    {
      issuerName: name,
      subjectName: name,
      validity,
      publicKey,
      extensions: [
        extension(oid.basicConstraints, true, der.sequence(der.boolean(true))),
        authorityUsage,
        subjectKeyExtension(keyIdentifier(publicKey)),
      ],
    },
    privateKey,
  );
}

/** An authority below another one, which may issue leaves only. */
export function issueIntermediate(
  issuer: Issuer,
  publicKey: KeyObject,
  organization: string,
  validity: Validity,
): CertificateInfo {
  const leavesOnly = der.unsignedInteger(Buffer.from([0]));
  return signBody(
    {
      issuerName: subjectOf(issuer.certificate),
      subjectName: names({ [oid.organization]: organization }),
      validity,
      publicKey,
      extensions: [
        extension(oid.basicConstraints, true, der.sequence(der.boolean(true), leavesOnly)),
        authorityUsage,
        subjectKeyExtension(keyIdentifier(publicKey)),
        authorityKeyExtension(issuer),
      ],
    },
    issuer.privateKey,
  );
}

/** The subject of the issuer's certificate, byte for byte, so that chains match by name. */
function subjectOf(certificate: CertificateInfo): der.DerValue {
  const [body] = der.children(der.decode(certificate.der));
  const fields = der.children(body);
  const subject = fields[der.isContext(fields[0], 0) ? 5 : 4];
  if (!der.isSequence(subject)) throw new RangeError("issuer certificate without a subject");
  return subject;
}

function generalNames(leaf: LeafNames): der.DerValue {
  const ascii = (text: string): Buffer => Buffer.from(text, "ascii");
  return der.sequence(
    ...(leaf.uris ?? []).map((uri) => der.taggedBytes(generalName.uri, ascii(uri))),
    ...(leaf.dns ?? []).map((name) => der.taggedBytes(generalName.dns, ascii(name))),
    ...(leaf.ips ?? []).map((bytes) => der.taggedBytes(generalName.ip, bytes)),
  );
}

/** An end-entity certificate for both roles of TLS: empty subject, therefore critical names. */
export function issueLeaf(
  issuer: Issuer,
  publicKey: KeyObject,
  leaf: LeafNames,
  validity: Validity,
): CertificateInfo {
  return signBody(
    {
      issuerName: subjectOf(issuer.certificate),
      subjectName: der.sequence(),
      validity,
      publicKey,
      extensions: [
        extension(
          oid.keyUsage,
          true,
          der.bitString(Buffer.from([keyUsage.leaf.bits]), keyUsage.leaf.unused),
        ),
        extension(
          oid.extendedKeyUsage,
          false,
          der.sequence(der.objectId(oid.serverAuth), der.objectId(oid.clientAuth)),
        ),
        extension(oid.basicConstraints, true, der.sequence()),
        subjectKeyExtension(keyIdentifier(publicKey)),
        authorityKeyExtension(issuer),
        extension(oid.subjectAltName, true, generalNames(leaf)),
      ],
    },
    issuer.privateKey,
  );
}
