/** Certificates read from their DER, never from printed text (a name inside a certificate may contain any separator). */
import {
  children,
  content,
  type DerValue,
  decode,
  isBoolean,
  isContext,
  isOctetString,
  oidText,
  timeMs,
} from "./der.ts";
import { pemBlocks, toPem } from "./pem.ts";

export const oid = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  extensionRequest: "1.2.840.113549.1.9.14",
} as const;

/** Tags of GeneralName, RFC 5280 section 4.2.1.6. */
export const generalName = { dns: 2, uri: 6, ip: 7 } as const;

export interface CertificateInfo {
  readonly pem: string;
  readonly der: Buffer;
  /** Upper-case hexadecimal, as node:crypto prints it. */
  readonly serialHex: string;
  readonly serialDecimal: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** URI names of the subjectAltName extension, in their order. */
  readonly uriSans: readonly string[];
  /** Content of the subjectKeyIdentifier extension. */
  readonly subjectKeyId?: Buffer;
}

export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** Extensions as they stand in a certificate or an extension request; a repeated one is an error (RFC 5280 4.2). */
export function readExtensions(list: DerValue | undefined): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const entry of children(list)) {
    const [id, second, third] = children(entry);
    const critical = isBoolean(second) && content(second)[0] !== 0;
    const value = isBoolean(second) ? third : second;
    if (!isOctetString(value)) throw new RangeError("extension without a value");
    const name = oidText(id);
    if (extensions.has(name)) throw new RangeError(`extension ${name} is there twice`);
    extensions.set(name, { oid: name, critical, value: content(value) });
  }
  return extensions;
}

/** URI entries of a subjectAltName; a byte outside ASCII makes the entry unusable as a URI and is an error. */
export function readUriSans(extension: Extension | undefined): readonly string[] {
  if (extension === undefined) return [];
  const names: string[] = [];
  for (const name of children(decode(extension.value))) {
    if (!isContext(name, generalName.uri)) continue;
    const bytes = content(name);
    if (bytes.some((byte) => byte < 0x21 || byte > 0x7e))
      throw new RangeError("URI name with a character that no URI has");
    names.push(bytes.toString("latin1"));
  }
  return names;
}

/** A serial number as node:crypto prints it: upper-case hexadecimal without leading zero bytes. */
export function serialHexOf(integer: Buffer): string {
  return integer
    .toString("hex")
    .replace(/^(00)+(?=..)/, "")
    .toUpperCase();
}

/** Extensions of a certificate body; none when the [3] field is missing. */
export function certificateExtensions(fields: readonly DerValue[]): ReadonlyMap<string, Extension> {
  const list = fields.findLast((field) => isContext(field, 3));
  return list === undefined ? new Map() : readExtensions(children(list)[0]);
}

/** Reads one certificate; throws a RangeError or forge's Error for anything else. */
export function readCertificate(der: Uint8Array): CertificateInfo {
  const [body] = children(decode(der));
  const fields = children(body);
  // The version is [0] and may be missing; everything after stands at a fixed place.
  const first = isContext(fields[0], 0) ? 1 : 0;
  const serialHex = serialHexOf(content(fields[first]));
  const [notBefore, notAfter] = children(fields[first + 3]);
  const extensions = certificateExtensions(fields);
  const keyId = extensions.get(oid.subjectKeyIdentifier);
  return {
    pem: toPem("CERTIFICATE", der),
    der: Buffer.from(der),
    serialHex,
    serialDecimal: BigInt(`0x${serialHex}`).toString(),
    notBeforeMs: timeMs(notBefore),
    notAfterMs: timeMs(notAfter),
    uriSans: readUriSans(extensions.get(oid.subjectAltName)),
    ...(keyId === undefined ? {} : { subjectKeyId: content(decode(keyId.value)) }),
  };
}

/** All certificates of a PEM text, in order. Throws when there is none or one cannot be read. */
export function readCertificates(pem: string): readonly CertificateInfo[] {
  const blocks = pemBlocks(pem, "CERTIFICATE");
  if (blocks.length === 0) throw new RangeError("no certificate in PEM text");
  return blocks.map(readCertificate);
}

/** Only the URI names of a peer's certificate: what every handshake asks. */
export function peerUriSans(der: Uint8Array): readonly string[] {
  const [body] = children(decode(der));
  return readUriSans(certificateExtensions(children(body)).get(oid.subjectAltName));
}
