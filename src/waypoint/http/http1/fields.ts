/**
 * Field lines of a head or trailer section (RFC 9112 section 5), strictly: no folding, no space before the colon, nothing
 * but CRLF at the end of a line. Fields that concern this hop alone are taken out; what they say is left in `facts`.
 */
import { MessageProblem, tooManyFields } from "./problem.ts";

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";
const value = "[\\t\\x20-\\x7e\\x80-\\xff]";
/** A whole section up to and with the empty line; linear, because no part can match what its neighbor matches. */
const section = new RegExp(`(?:${token}+:${value}*\\r\\n)*\\r\\n`, "y");
const digits = /^[0-9]{1,15}$/;

/** What the section says about this hop and the framing. One object serves all parses: it is read at once. */
export const facts = {
  hosts: 0,
  host: "",
  /** -1: none. */
  contentLength: -1,
  transferEncodings: 0,
  transferEncoding: "",
  connectionClose: false,
  connectionKeepAlive: false,
  connectionUpgrade: false,
  upgrade: undefined as string | undefined,
  /** Has an Expect: 100-continue. */
  expects: false,
};

export interface FieldRules {
  readonly maxFields: number;
  readonly underscores: "allow" | "reject" | "drop";
  readonly isRequest: boolean;
}

/**
 * Reads the section of `text` that begins at `start` and ends with its empty line at the end of the text. Returns the flat
 * list of end-to-end fields.
 */
export function parseFields(text: string, start: number, rules: FieldRules): string[] {
  resetFacts();
  const end = text.length - 2;
  section.lastIndex = start;
  if (!section.test(text) || section.lastIndex !== text.length) throw explain(text, start);
  const flat: string[] = [];
  let nominated: string[] | undefined;
  let count = 0;
  for (let at = start; at < end; ) {
    const colon = text.indexOf(":", at);
    const eol = text.indexOf("\r", colon);
    if (++count > rules.maxFields) throw tooManyFields();
    const name = lowerCase(text.slice(at, colon));
    const content = trimmed(text, colon + 1, eol);
    at = eol + 2;
    if (isEndToEnd(name, content, rules)) flat.push(name, content);
    else if (name === "connection") nominated = connectionOptions(content, nominated);
  }
  if (nominated !== undefined) removeNominated(flat, nominated);
  return flat;
}

function resetFacts(): void {
  facts.hosts = 0;
  facts.host = "";
  facts.contentLength = -1;
  facts.transferEncodings = 0;
  facts.transferEncoding = "";
  facts.connectionClose = false;
  facts.connectionKeepAlive = false;
  facts.connectionUpgrade = false;
  facts.upgrade = undefined;
  facts.expects = false;
}

/** Names repeat: one shared lower-case string each spares work here and makes later comparisons cheap. */
const knownNames = new Map<string, string>();
const mostKnownNames = 1000;

function lowerCase(name: string): string {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  if (knownNames.size < mostKnownNames && name.length <= 64) knownNames.set(name, lower);
  return lower;
}

function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** False: the field is for this hop, or dropped. By length first, because almost every name falls out there. */
function isEndToEnd(name: string, content: string, rules: FieldRules): boolean {
  switch (name.length) {
    case 4:
      if (name === "host" && rules.isRequest) return noteHost(content);
      break;
    case 14:
      if (name === "content-length") return noteContentLength(content);
      break;
  }
  const note = hopFields.get(name);
  if (note !== undefined) return note(content);
  return rules.underscores === "allow" || !name.includes("_") || underscored(name, rules);
}

/** True: the field goes on all the same. */
const hopFields: ReadonlyMap<string, (content: string) => boolean> = new Map([
  ["te", (content: string) => content.toLowerCase() === "trailers"],
  ["expect", noteExpect],
  ["upgrade", noteUpgrade],
  ["connection", () => false],
  ["keep-alive", () => false],
  ["proxy-connection", () => false],
  ["http2-settings", () => false],
  ["transfer-encoding", noteTransferEncoding],
]);

function noteHost(content: string): false {
  facts.hosts++;
  facts.host = content;
  return false;
}

function noteExpect(content: string): true {
  if (content.toLowerCase() === "100-continue") facts.expects = true;
  return true;
}

function noteUpgrade(content: string): false {
  facts.upgrade = facts.upgrade === undefined ? content : `${facts.upgrade}, ${content}`;
  return false;
}

function noteTransferEncoding(content: string): false {
  facts.transferEncodings++;
  facts.transferEncoding = content;
  return false;
}

function underscored(name: string, rules: FieldRules): boolean {
  if (rules.underscores === "drop") return false;
  throw new MessageProblem(`field name "${name}" has an underscore`, "http1.unexpected_underscore");
}

/** Even equal repetitions are refused: whoever sends them hopes for two readings. */
function noteContentLength(content: string): true {
  if (facts.contentLength >= 0) throw new MessageProblem("Content-Length stands twice");
  if (!digits.test(content)) throw new MessageProblem("Content-Length is not a number");
  facts.contentLength = Number(content);
  return true;
}

/** Reads Connection; options that are not about the connection name fields to be removed (RFC 9110 section 7.6.1). */
function connectionOptions(content: string, before: string[] | undefined): string[] | undefined {
  let nominated = before;
  for (const option of content.toLowerCase().split(",")) {
    const name = option.trim();
    if (name === "close") facts.connectionClose = true;
    else if (name === "keep-alive") facts.connectionKeepAlive = true;
    else if (name === "upgrade") facts.connectionUpgrade = true;
    else if (name !== "" && name !== "te") {
      nominated ??= [];
      nominated.push(name);
    }
  }
  return nominated;
}

/** Removing these would change what the message is. */
const notRemovable: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
]);

function removeNominated(flat: string[], nominated: readonly string[]): void {
  if (nominated.some((name) => notRemovable.has(name)))
    throw new MessageProblem(
      "Connection names a field that must stay",
      "http1.connection_header_rejected",
    );
  let to = 0;
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (nominated.includes(name)) continue;
    flat[to] = name;
    flat[to + 1] = flat[at + 1] ?? "";
    to += 2;
  }
  flat.length = to;
}

const badValue = /[^\t\x20-\x7e\x80-\xff\r\n]/;
const bareLineEnd = /\r(?!\n)|(?<!\r)\n/;

/** Why the section does not match. Only for messages, so it need not be fast. */
function explain(text: string, start: number): MessageProblem {
  const rest = text.slice(start);
  if (bareLineEnd.test(rest)) return new MessageProblem("a line ends with a bare CR or LF");
  for (const line of rest.split("\r\n")) {
    if (line.startsWith(" ") || line.startsWith("\t"))
      return new MessageProblem("a field is folded over two lines");
    const colon = line.indexOf(":");
    if (colon < 0 && line !== "") return new MessageProblem("a field has no colon");
    if (badValue.test(line))
      return new MessageProblem("a field has a forbidden octet", "http1.invalid_characters");
    if (/[ \t]/.test(line.slice(0, colon))) return new MessageProblem("white space before a colon");
  }
  return new MessageProblem("a field name is not a token");
}
