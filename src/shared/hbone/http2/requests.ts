/** Which header lists are well-formed (RFC 9113 sections 8.2, 8.3 and 8.5). Pure. */
import type { HeaderField } from "../tunnel.ts";
import { errorCode, StreamError } from "./errors.ts";

export interface RequestHead {
  readonly method: string;
  /** Empty when a method other than CONNECT came without it. */
  readonly authority: string;
  readonly headers: readonly HeaderField[];
}

export interface ResponseHead {
  readonly status: number;
  readonly headers: readonly HeaderField[];
}

interface SplitFields {
  readonly pseudo: ReadonlyMap<string, string>;
  readonly headers: readonly HeaderField[];
}

/** Throws StreamError PROTOCOL_ERROR for a malformed request. */
export function parseRequest(fields: readonly HeaderField[]): RequestHead {
  const { pseudo, headers } = split(fields, requestPseudo);
  const method = pseudo.get(":method");
  const authority = pseudo.get(":authority");
  if (method === undefined || !tokenPattern.test(method)) throw malformed("bad :method");
  const hasScheme = pseudo.has(":scheme");
  const path = pseudo.get(":path");
  if (method === "CONNECT") {
    if (hasScheme || path !== undefined) throw malformed("CONNECT with :scheme or :path");
    if (!authority) throw malformed("CONNECT without :authority");
    return { method, authority, headers };
  }
  if (!hasScheme || !path) throw malformed("no :scheme or :path");
  return { method, authority: authority ?? "", headers };
}

/** Throws StreamError PROTOCOL_ERROR for a malformed response. */
export function parseResponse(fields: readonly HeaderField[]): ResponseHead {
  const { pseudo, headers } = split(fields, responsePseudo);
  const status = pseudo.get(":status") ?? "";
  if (!/^[1-9][0-9]{2}$/.test(status)) throw malformed("bad :status");
  return { status: Number(status), headers };
}

// Extended CONNECT's :protocol is missing on purpose: we do not announce it.
const requestPseudo: ReadonlySet<string> = new Set([":method", ":scheme", ":authority", ":path"]);
const responsePseudo: ReadonlySet<string> = new Set([":status"]);

/** Fields that belong to an HTTP/1 connection. */
const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

/** RFC 9110 token in lower case; upper case is malformed in HTTP/2. */
const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9a-zA-Z]+$/;
const badValuePattern = /[\0\r\n]|^[ \t]|[ \t]$/;

function split(fields: readonly HeaderField[], allowed: ReadonlySet<string>): SplitFields {
  const pseudo = new Map<string, string>();
  let pseudoCount = 0;
  for (const [name, value] of fields) {
    if (badValuePattern.test(value)) throw malformed(`bad value of "${name}"`);
    if (!name.startsWith(":")) break;
    if (!allowed.has(name) || pseudo.has(name)) throw malformed(`unexpected "${name}"`);
    pseudo.set(name, value);
    pseudoCount++;
  }
  const headers = fields.slice(pseudoCount);
  for (const [name, value] of headers) checkField(name, value);
  return { pseudo, headers };
}

function checkField(name: string, value: string): void {
  if (!namePattern.test(name)) throw malformed(`bad name "${name}"`);
  if (badValuePattern.test(value)) throw malformed(`bad value of "${name}"`);
  if (connectionFields.has(name) || (name === "te" && value !== "trailers"))
    throw malformed(`connection field "${name}"`);
}

function malformed(what: string): StreamError {
  return new StreamError(errorCode.protocolError, what);
}
