/**
 * Heads and trailers from decoded field lists, strictly (RFC 9113 sections 8.2 and 8.3): what could be read in two ways,
 * here or behind the next HTTP/1.1 hop, is malformed. Pure.
 */
import { Fields, type RequestHead, type ResponseHead } from "../message.ts";
import { kindOf, lengthOf, malformed } from "./field-rules.ts";

export interface HeadRules {
  readonly maxHeaders: number;
  readonly underscoresInNames: "allow" | "reject" | "drop";
  readonly allowConnect: boolean;
}

export interface ParsedRequest {
  readonly head: RequestHead;
  /** -1: not stated. */
  readonly contentLength: number;
  /** CONNECT, plain or extended: what follows is no message body. */
  readonly isConnect: boolean;
  /** The field section had more fields than allowed; nothing else in it was looked at. */
  readonly tooMany: boolean;
}

export interface ParsedResponse {
  readonly head: ResponseHead;
  readonly contentLength: number;
}

interface Pseudo {
  method: string | undefined;
  scheme: string | undefined;
  authority: string | undefined;
  path: string | undefined;
  protocol: string | undefined;
  status: string | undefined;
}

interface Section {
  readonly fields: Fields;
  host: string | undefined;
  contentLength: number;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** No user information, no white space, nothing that means something else in a URL (RFC 9113 section 8.3.1). */
const authorityPattern = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::[0-9]{1,5})?$/;
const pathPattern = /^(?:\/[\x21-\x7e\x80-\xff]*|\*)$/;

export function parseRequest(flat: readonly string[], rules: HeadRules): ParsedRequest {
  const pseudo = noPseudo();
  const first = readPseudo(flat, pseudo, requestPseudo);
  if ((flat.length - first) / 2 > rules.maxHeaders) return tooManyFields;
  const section = readSection(flat, first, rules);
  const method = pseudo.method ?? "";
  if (!token.test(method)) throw malformed("bad :method");
  const head: RequestHead = {
    method,
    scheme: "http",
    authority: authorityOf(pseudo.authority, section.host),
    path: "",
    fields: section.fields,
    upgrade: undefined,
  };
  const isConnect = method === "CONNECT";
  if (isConnect && pseudo.protocol === undefined) checkConnect(pseudo, section);
  else applyTarget(head, pseudo, section, rules);
  return { head, contentLength: section.contentLength, isConnect, tooMany: false };
}

export function parseResponse(flat: readonly string[], rules: HeadRules): ParsedResponse {
  const pseudo = noPseudo();
  const first = readPseudo(flat, pseudo, responsePseudo);
  const status = pseudo.status ?? "";
  if (!/^[1-9][0-9]{2}$/.test(status)) throw malformed("bad :status");
  // RFC 9113 section 8.6: HTTP/2 has no 101.
  if (status === "101") throw malformed("status 101");
  if ((flat.length - first) / 2 > rules.maxHeaders) throw malformed("too many fields");
  const { fields, contentLength } = readSection(flat, first, rules);
  return { head: { status: Number(status), fields }, contentLength };
}

export function parseTrailers(flat: readonly string[], rules: HeadRules): Fields {
  if (flat.length / 2 > rules.maxHeaders) throw malformed("too many trailer fields");
  if (flat[0]?.startsWith(":")) throw malformed("pseudo header in trailers");
  const { fields } = readSection(flat, 0, rules);
  // Framing is settled by the time of trailers (RFC 9110 section 6.5.1).
  fields.remove("content-length");
  return fields;
}

const tooManyFields: ParsedRequest = {
  head: {
    method: "",
    scheme: "",
    authority: "",
    path: "",
    fields: new Fields(),
    upgrade: undefined,
  },
  contentLength: -1,
  isConnect: false,
  tooMany: true,
};

const requestPseudo: ReadonlyMap<string, keyof Pseudo> = new Map([
  [":method", "method"],
  [":scheme", "scheme"],
  [":authority", "authority"],
  [":path", "path"],
  [":protocol", "protocol"],
]);
const responsePseudo: ReadonlyMap<string, keyof Pseudo> = new Map([[":status", "status"]]);

function noPseudo(): Pseudo {
  return {
    method: undefined,
    scheme: undefined,
    authority: undefined,
    path: undefined,
    protocol: undefined,
    status: undefined,
  };
}

/** Reads the pseudo headers in front; returns where the fields begin. */
function readPseudo(
  flat: readonly string[],
  into: Pseudo,
  allowed: ReadonlyMap<string, keyof Pseudo>,
): number {
  let at = 0;
  for (; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (name.charCodeAt(0) !== 0x3a) break;
    const key = allowed.get(name);
    if (key === undefined || into[key] !== undefined) throw malformed(`unexpected "${name}"`);
    into[key] = flat[at + 1] ?? "";
  }
  return at;
}

function readSection(flat: readonly string[], first: number, rules: HeadRules): Section {
  const kept: string[] = [];
  const section: Section = { fields: new Fields(kept), host: undefined, contentLength: -1 };
  let cookieAt = -1;
  for (let at = first; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    switch (kindOf(name, value)) {
      case "plain":
        if (rules.underscoresInNames !== "allow" && isDropped(name, rules)) break;
        kept.push(name, value);
        break;
      case "cookie":
        cookieAt = addCookie(kept, cookieAt, value);
        break;
      case "content-length":
        stateLength(section, value);
        kept.push(name, value);
        break;
      case "host":
        stateHost(section, value);
        break;
      case "te":
        if (value !== "trailers") throw malformed("te is not trailers");
        kept.push(name, value);
        break;
      case "connection":
        throw malformed(`connection field "${name}"`);
    }
  }
  return section;
}

/** Even equal repetitions are refused: whoever sends them hopes for two readings. */
function stateLength(section: Section, value: string): void {
  if (section.contentLength >= 0) throw malformed("content-length stands twice");
  section.contentLength = lengthOf(value);
}

function stateHost(section: Section, value: string): void {
  if (section.host !== undefined) throw malformed("host stands twice");
  section.host = value;
}

/** Crumbs of one cookie come apart for compression (RFC 9113 section 8.2.3); behind us it is one field again. */
function addCookie(kept: string[], cookieAt: number, value: string): number {
  if (cookieAt < 0) return kept.push("cookie", value) - 2;
  kept[cookieAt + 1] = `${kept[cookieAt + 1]}; ${value}`;
  return cookieAt;
}

function isDropped(name: string, rules: HeadRules): boolean {
  if (!name.includes("_")) return false;
  if (rules.underscoresInNames === "reject")
    throw malformed(`field name "${name}" has an underscore`);
  return true;
}

/** RFC 9113 section 8.3.1: both name the same host, or the request has two readings. */
function authorityOf(authority: string | undefined, host: string | undefined): string {
  const one = authority ?? host ?? "";
  if (!authorityPattern.test(one)) throw malformed("bad :authority");
  if (host !== undefined && host.toLowerCase() !== one.toLowerCase())
    throw malformed("host is not :authority");
  return one;
}

/** RFC 9113 section 8.5. */
function checkConnect(pseudo: Pseudo, section: Section): void {
  if (pseudo.scheme !== undefined || pseudo.path !== undefined)
    throw malformed("CONNECT with :scheme or :path");
  if (!pseudo.authority || !/:[0-9]+$/.test(pseudo.authority))
    throw malformed("CONNECT without host and port");
  if (section.contentLength >= 0) throw malformed("CONNECT with content-length");
}

function applyTarget(head: RequestHead, pseudo: Pseudo, section: Section, rules: HeadRules): void {
  const { scheme, path, protocol } = pseudo;
  if (!scheme || !path) throw malformed("no :scheme or :path");
  const known = scheme.toLowerCase();
  if (known !== "http" && known !== "https") throw malformed("unknown :scheme");
  if (!pathPattern.test(path) || (path === "*" && head.method !== "OPTIONS"))
    throw malformed("bad :path");
  if (head.authority === "") throw malformed("no :authority and no host");
  head.scheme = known;
  head.path = path;
  if (protocol !== undefined) applyProtocol(head, protocol, section, rules);
}

/** RFC 8441 section 4. Behind us it is what HTTP/1.1 calls an upgrade, with GET. */
function applyProtocol(
  head: RequestHead,
  protocol: string,
  section: Section,
  rules: HeadRules,
): void {
  if (!rules.allowConnect || head.method !== "CONNECT") throw malformed('unexpected ":protocol"');
  if (!token.test(protocol)) throw malformed("bad :protocol");
  if (section.contentLength >= 0) throw malformed("CONNECT with content-length");
  head.method = "GET";
  head.upgrade = protocol.toLowerCase();
}
