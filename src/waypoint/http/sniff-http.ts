/**
 * Does a connection begin like HTTP? Decided as early as possible: every octet that cannot stand in a request line says no,
 * so that a client-first protocol which is not HTTP waits for nothing. What is HTTP but malformed counts as HTTP, and the
 * codec refuses it. Each octet is looked at once, however small the pieces.
 */
import { clientPreface } from "../../shared/hbone/http2/frames.ts";

/** Envoy's names for what its HTTP inspector finds. */
export type HttpVersion = "h2c" | "http/1.1" | "http/1.0";

/** "more": octets so far fit, but do not decide. */
export type HttpLook = HttpVersion | "other" | "more";

type State = "method" | "gap" | "scheme" | "rest";

/** RFC 9110 section 5.6.2. */
const isToken = tableOf(/[!#$%&'*+\-.^_`|~0-9A-Za-z]/);
const isScheme = tableOf(/[A-Za-z0-9+\-.]/);
const isLetter = tableOf(/[A-Za-z]/);
/** What no request line has between its ends. Obs-text is left to the codec. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const isControl = tableOf(/[\0-\x08\x0b-\x0c\x0e-\x1f\x7f]/);
const versionPattern = /^HTTP\/[0-9]\.[0-9]$/;

const [tab, newline, carriageReturn, space, asterisk, slash, colon] = [9, 10, 13, 32, 42, 47, 58];

export class HttpLooker {
  #state: State = "method";
  /** Where the next octet to look at lies, from the start of the connection. */
  #seen = 0;
  #methodLength = 0;
  /** Octets of "://" that have come. */
  #marks = 0;

  /** [start, end) is the connection from its first octet; call again with more of it. */
  look(bytes: Buffer, start: number, end: number): HttpLook {
    if (startsLikePreface(bytes, start, end))
      return end - start < clientPreface.length ? "more" : "h2c";
    for (let at = start + this.#seen; at < end; at++) {
      const octet = bytes[at] ?? 0;
      if (octet === newline) return wholeLine(bytes.toString("latin1", start, at));
      if (!this.#accepts(octet, bytes, start)) return "other";
    }
    this.#seen = end - start;
    return "more";
  }

  #accepts(octet: number, bytes: Buffer, start: number): boolean {
    const isSpace = octet === space || octet === tab;
    switch (this.#state) {
      case "method":
        if (isSpace && this.#methodLength > 0) this.#state = "gap";
        else if (isToken[octet]) this.#methodLength++;
        else return false;
        return true;
      case "gap":
        return isSpace || this.#targetBegins(octet, bytes, start);
      case "scheme":
        return this.#schemeGoesOn(octet);
      case "rest":
        return !isControl[octet];
    }
  }

  #targetBegins(octet: number, bytes: Buffer, start: number): boolean {
    const isConnect = bytes.toString("latin1", start, start + this.#methodLength) === "CONNECT";
    if (octet === slash || octet === asterisk || isConnect) this.#state = "rest";
    else if (isLetter[octet]) this.#state = "scheme";
    else return false;
    return octet !== carriageReturn;
  }

  #schemeGoesOn(octet: number): boolean {
    if (this.#marks === 0 && isScheme[octet]) return true;
    if (octet !== (this.#marks === 0 ? colon : slash)) return false;
    this.#marks++;
    if (this.#marks === 3) this.#state = "rest";
    return true;
  }
}

/** True while all octets so far are the first ones of the HTTP/2 preface. */
export function startsLikePreface(bytes: Buffer, start: number, end: number): boolean {
  const length = Math.min(end - start, clientPreface.length);
  return bytes.compare(clientPreface, 0, length, start, start + length) === 0;
}

/** Method and target were looked at on the way. HTTP/0.9 has no version; Envoy calls all but 1.1 by the older name. */
function wholeLine(line: string): HttpLook {
  const words = line
    .replace(/\r$/, "")
    .trimEnd()
    .split(/[ \t]+/);
  const version = words.at(-1) ?? "";
  if (words.length < 2) return "other";
  if (words.length === 2) return /^[A-Za-z]+[+\-.A-Za-z0-9]*$/.test(version) ? "other" : "http/1.0";
  if (!versionPattern.test(version)) return "other";
  return version === "HTTP/1.1" ? "http/1.1" : "http/1.0";
}

function tableOf(pattern: RegExp): readonly boolean[] {
  return Array.from({ length: 256 }, (_, octet) => pattern.test(String.fromCharCode(octet)));
}
