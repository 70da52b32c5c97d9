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
  readonly pseudo: readonly HeaderField[];
  readonly headers: readonly HeaderField[];
}

/** Throws StreamError PROTOCOL_ERROR for a malformed request. */
export function parseRequest(fields: readonly HeaderField[]): RequestHead {
  const { pseudo, headers } = split(fields, requestPseudo);
  const method = pseudoValue(pseudo, ":method");
  const authority = pseudoValue(pseudo, ":authority");
  if (method === undefined || !tokenPattern.test(method)) throw malformed("bad :method");
  const hasScheme = pseudoValue(pseudo, ":scheme") !== undefined;
  const path = pseudoValue(pseudo, ":path");
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
  const status = pseudoValue(pseudo, ":status") ?? "";
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
  let pseudoCount = 0;
  for (const [name, value] of fields) {
    if (!name.startsWith(":")) break;
    if (badValuePattern.test(value)) throw malformed(`bad value of "${name}"`);
    const seen = fields.findIndex((field) => field[0] === name) < pseudoCount;
    if (!allowed.has(name) || seen) throw malformed(`unexpected "${name}"`);
    pseudoCount++;
  }
  const headers = fields.slice(pseudoCount);
  for (const [name, value] of headers) checkField(name, value);
  return { pseudo: fields.slice(0, pseudoCount), headers };
}

function pseudoValue(fields: readonly HeaderField[], name: string): string | undefined {
  return fields.find((field) => field[0] === name)?.[1];
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
