/** Which fields an HTTP/2 message may have (RFC 9113 section 8.2), and which of them we do not hand on. */
import { errorCode, StreamError } from "../../../shared/hbone/http2/errors.ts";

/** What a field is to us, by its name. */
export type FieldKind = "plain" | "host" | "content-length" | "cookie" | "te" | "connection";

const special: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  ["host", "host"],
  ["content-length", "content-length"],
  ["cookie", "cookie"],
  ["te", "te"],
  ["connection", "connection"],
  ["proxy-connection", "connection"],
  ["keep-alive", "connection"],
  ["transfer-encoding", "connection"],
  ["upgrade", "connection"],
]);

/** RFC 9110 token in lower case; upper case is malformed in HTTP/2. */
const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9110 section 5.5, without white space at either end (RFC 9113 section 8.2.1). */
const valuePattern = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const digits = /^[0-9]{1,15}$/;

/** Names repeat, so that each is looked at once. */
const goodNames = new Map<string, FieldKind>(special);
const mostGoodNames = 1000;

/** Checks name and value. Throws StreamError PROTOCOL_ERROR. */
export function kindOf(name: string, value: string): FieldKind {
  if (!valuePattern.test(value)) throw malformed(`bad value of "${name}"`);
  const known = goodNames.get(name);
  if (known !== undefined) return known;
  if (!namePattern.test(name)) throw malformed(`bad name "${name}"`);
  if (goodNames.size < mostGoodNames && name.length <= 64) goodNames.set(name, "plain");
  return "plain";
}

export function lengthOf(value: string): number {
  if (!digits.test(value)) throw malformed("content-length is not a number");
  return Number(value);
}

export function malformed(what: string): StreamError {
  return new StreamError(errorCode.protocolError, what);
}
