/** ASN.1 values to and from DER: forge's reader and writer behind types that speak in buffers and milliseconds. */

import type { asn1 as Forge } from "node-forge";
import asn1 from "node-forge/lib/asn1.js";

export type DerValue = Forge.Asn1;

/** Deeper nesting than any certificate needs is an attack on the stack. */
const MAX_DEPTH = 32;

function primitive(type: Forge.Type, bytes: string): DerValue {
  return asn1.create(asn1.Class.UNIVERSAL, type, false, bytes);
}

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** Two's complement with the shortest content; `bytes` is an unsigned big-endian number. */
function unsignedContent(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = Buffer.from(bytes.subarray(start));
  return ((digits[0] ?? 0) & 0x80) === 0 ? digits : Buffer.concat([Buffer.from([0]), digits]);
}

export function sequence(...values: DerValue[]): DerValue {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, values);
}

export function set(...values: DerValue[]): DerValue {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, values);
}

export function objectId(dotted: string): DerValue {
  return primitive(asn1.Type.OID, asn1.oidToDer(dotted).getBytes());
}

export function unsignedInteger(bytes: Uint8Array): DerValue {
  return primitive(asn1.Type.INTEGER, binary(unsignedContent(bytes)));
}

export function boolean(value: boolean): DerValue {
  return primitive(asn1.Type.BOOLEAN, value ? "\xff" : "\x00");
}

export function octetString(bytes: Uint8Array): DerValue {
  return primitive(asn1.Type.OCTETSTRING, binary(bytes));
}

/** `unusedBits` trailing bits of the last byte do not count. */
export function bitString(bytes: Uint8Array, unusedBits = 0): DerValue {
  return primitive(asn1.Type.BITSTRING, String.fromCharCode(unusedBits) + binary(bytes));
}

export function utf8String(text: string): DerValue {
  return primitive(asn1.Type.UTF8, binary(Buffer.from(text, "utf8")));
}

/** A context-specific tag around other values. */
export function tagged(tag: number, ...values: DerValue[]): DerValue {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, true, values);
}

/** A context-specific tag in place of a primitive type's own. */
export function taggedBytes(tag: number, bytes: Uint8Array): DerValue {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, false, binary(bytes));
}

/** UTCTime up to 2049, GeneralizedTime after, as RFC 5280 section 4.1.2.5 demands. Milliseconds are cut off. */
export function time(wallMs: number): DerValue {
  // biome-ignore lint/style/noRestrictedGlobals: formats a given instant, reads no clock
  const date = new Date(wallMs);
  return date.getUTCFullYear() < 2050
    ? primitive(asn1.Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(asn1.Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

/** DER that somebody else made, taken over byte for byte. */
export function raw(bytes: Uint8Array): DerValue {
  return decode(bytes);
}

export function encode(value: DerValue): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), "latin1");
}

/** Throws on anything but exactly one value. */
export function decode(bytes: Uint8Array): DerValue {
  const options = {
    strict: true,
    parseAllBytes: true,
    decodeBitStrings: false,
    maxDepth: MAX_DEPTH,
  };
  return asn1.fromDer(binary(bytes), options as unknown as boolean);
}

/** The parts of a constructed value; throws when `value` is missing or primitive. */
export function children(value: DerValue | undefined): readonly DerValue[] {
  if (value === undefined || !Array.isArray(value.value))
    throw new RangeError("ASN.1: a constructed value is missing");
  return value.value;
}

/** The content of a primitive value; throws when `value` is missing or constructed. */
export function content(value: DerValue | undefined): Buffer {
  if (value === undefined || typeof value.value !== "string")
    throw new RangeError("ASN.1: a primitive value is missing");
  return Buffer.from(value.value, "latin1");
}

export function isContext(value: DerValue | undefined, tag: number): value is DerValue {
  return (
    value !== undefined &&
    value.tagClass === asn1.Class.CONTEXT_SPECIFIC &&
    (value.type as number) === tag
  );
}

function isUniversal(value: DerValue | undefined, type: Forge.Type): value is DerValue {
  return value !== undefined && value.tagClass === asn1.Class.UNIVERSAL && value.type === type;
}

export const isSequence = (value: DerValue | undefined): value is DerValue =>
  isUniversal(value, asn1.Type.SEQUENCE) && value.constructed;
export const isBoolean = (value: DerValue | undefined): value is DerValue =>
  isUniversal(value, asn1.Type.BOOLEAN) && !value.constructed;
export const isOctetString = (value: DerValue | undefined): value is DerValue =>
  isUniversal(value, asn1.Type.OCTETSTRING) && !value.constructed;
const isObjectId = (value: DerValue | undefined): value is DerValue =>
  isUniversal(value, asn1.Type.OID) && !value.constructed;

/** Dotted form of an object identifier; throws for other values. */
export function oidText(value: DerValue | undefined): string {
  if (!isObjectId(value)) throw new RangeError("ASN.1: an object identifier is missing");
  return asn1.derToOid(content(value).toString("latin1"));
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** Milliseconds since the epoch of a UTCTime or GeneralizedTime in the only form DER allows; throws for all others. */
export function timeMs(value: DerValue | undefined): number {
  const short = isUniversal(value, asn1.Type.UTCTIME);
  if (!short && !isUniversal(value, asn1.Type.GENERALIZEDTIME))
    throw new RangeError("ASN.1: a time is missing");
  const text = content(value).toString("latin1");
  const match = (short ? UTC_TIME : GENERALIZED_TIME).exec(text);
  if (match === null) throw new RangeError(`ASN.1: "${text}" is no time`);
  const [, year = "", month = "", day = "", hour = "", minute = "", second = ""] = match;
  const century = !short ? "" : Number(year) >= 50 ? "19" : "20";
  // biome-ignore lint/style/noRestrictedGlobals: reads a written instant, no clock
  const ms = Date.parse(`${century}${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(ms)) throw new RangeError(`ASN.1: "${text}" is no time`);
  return ms;
}
