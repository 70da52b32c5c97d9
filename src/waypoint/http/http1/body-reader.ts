/**
 * Finds the end of a body and hands its octets on where they lie (RFC 9112 sections 6 and 7). What does not make a whole
 * line yet is left to the caller to bring again with more.
 */
import { Fields } from "../message.ts";
import { type FieldRules, parseFields } from "./fields.ts";
import { chunked, type Framing, untilClose } from "./framing.ts";
import { headTooLarge, MessageProblem } from "./problem.ts";

export interface BodySink {
  bodyBytes(bytes: Buffer, start: number, end: number): void;
  bodyEnd(trailers: Fields | undefined): void;
}

type State =
  | "data"
  | "chunk-line"
  | "chunk-data"
  | "chunk-end"
  | "trailers"
  | "to-the-end"
  | "done";

const cr = 0x0d;
const lf = 0x0a;
/** Room for a size and extensions, which nobody uses. */
const maxChunkLineBytes = 1024;
/** 2^52 and more cannot be counted exactly. */
const sizeDigits = /^0*([0-9a-fA-F]{1,13})(?=;|$)/;
const partOfLine = /^0*[0-9a-fA-F]{0,13}(?:\r|(?<=.);[^\r\n]*\r?)?$/;
const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const quoted =
  '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
const extensions = new RegExp(`^(?:;${token}(?:=(?:${token}|${quoted}))?)*$`);

/** Fields that frame, route or authenticate have no business in trailers (RFC 9110 section 6.5.1). */
const notInTrailers: ReadonlySet<string> = new Set([
  "content-length",
  "host",
  "te",
  "trailer",
  "authorization",
  "cookie",
  "set-cookie",
  "content-encoding",
  "content-type",
  "content-range",
  "cache-control",
  "expect",
  "max-forwards",
]);

export class BodyReader {
  #state: State = "done";
  /** Octets to come of a length or a chunk. */
  #left = 0;
  #maxTrailerBytes = 0;
  #rules: FieldRules | undefined;

  begin(framing: Framing, rules: FieldRules, maxTrailerBytes: number): void {
    this.#rules = rules;
    this.#maxTrailerBytes = maxTrailerBytes;
    this.#left = framing > 0 ? framing : 0;
    if (framing === chunked) this.#state = "chunk-line";
    else if (framing === untilClose) this.#state = "to-the-end";
    else this.#state = framing > 0 ? "data" : "done";
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** The end of the connection is the end of the body. */
  get endsWithConnection(): boolean {
    return this.#state === "to-the-end";
  }

  /** Drops the rest: nothing is read any more. */
  abandon(): void {
    this.#state = "done";
  }

  /** Reads on; returns where it stopped: at the end of the body, or before a line that is not whole. Throws MessageProblem. */
  read(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    let at = start;
    for (;;) {
      const before = at;
      const state = this.#state;
      if (state === "done" || at >= end) return at;
      at = this.#step(state, bytes, at, end, sink);
      if (at === before && this.#state === state) return at;
    }
  }

  #step(state: State, bytes: Buffer, at: number, end: number, sink: BodySink): number {
    switch (state) {
      case "data":
      case "chunk-data":
        return this.#data(state, bytes, at, end, sink);
      case "to-the-end":
        sink.bodyBytes(bytes, at, end);
        return end;
      case "chunk-line":
        return this.#chunkLine(bytes, at, end);
      case "chunk-end":
        return this.#chunkEnd(bytes, at, end);
      case "trailers":
        return this.#trailers(bytes, at, end, sink);
      case "done":
        return at;
    }
  }

  #data(
    state: "data" | "chunk-data",
    bytes: Buffer,
    at: number,
    end: number,
    sink: BodySink,
  ): number {
    const to = Math.min(end, at + this.#left);
    this.#left -= to - at;
    if (this.#left > 0) {
      sink.bodyBytes(bytes, at, to);
      return to;
    }
    this.#state = state === "data" ? "done" : "chunk-end";
    sink.bodyBytes(bytes, at, to);
    if (state === "data") sink.bodyEnd(undefined);
    return to;
  }

  #chunkLine(bytes: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + maxChunkLineBytes);
    let eol = at;
    while (eol < stop && bytes[eol] !== lf) eol++;
    if (eol === stop) {
      if (stop < end || stop - at === maxChunkLineBytes)
        throw new MessageProblem("chunk line is too long");
      this.#checkPart(bytes.toString("latin1", at, stop));
      return at;
    }
    if (eol === at || bytes[eol - 1] !== cr) throw new MessageProblem("bare LF after a chunk size");
    this.#left = chunkSize(bytes.toString("latin1", at, eol - 1));
    this.#state = this.#left > 0 ? "chunk-data" : "trailers";
    return eol + 1;
  }

  /** Does not wait for the end of a line that is wrong already. */
  #checkPart(part: string): void {
    if (!partOfLine.test(part)) throw new MessageProblem("malformed chunk size");
  }

  #chunkEnd(bytes: Buffer, at: number, end: number): number {
    if (bytes[at] !== cr) throw new MessageProblem("chunk is longer than its size");
    if (at + 1 >= end) return at;
    if (bytes[at + 1] !== lf) throw new MessageProblem("bare CR after a chunk");
    this.#state = "chunk-line";
    return at + 2;
  }

  #trailers(bytes: Buffer, at: number, end: number, sink: BodySink): number {
    if (bytes[at] === cr && at + 1 < end && bytes[at + 1] === lf) {
      this.#state = "done";
      sink.bodyEnd(undefined);
      return at + 2;
    }
    if (end - at < 2) {
      if (bytes[at] === lf) throw new MessageProblem("bare LF after the last chunk");
      return at;
    }
    const text = bytes.toString("latin1", at, Math.min(end, at + this.#maxTrailerBytes));
    const close = text.indexOf("\r\n\r\n");
    if (close < 0) {
      if (text.length === this.#maxTrailerBytes) throw headTooLarge();
      if (/(?<!\r)\n|\r(?!\n|$)/.test(text)) throw new MessageProblem("bare CR or LF in trailers");
      return at;
    }
    if (this.#rules === undefined) throw new TypeError("no message was begun");
    const flat = parseFields(text.slice(0, close + 4), 0, this.#rules);
    this.#state = "done";
    sink.bodyEnd(trailersOf(flat));
    return at + close + 4;
  }
}

function chunkSize(line: string): number {
  const size = sizeDigits.exec(line)?.[1];
  if (size === undefined) throw new MessageProblem("malformed chunk size");
  const semicolon = line.indexOf(";");
  if (semicolon >= 0 && !extensions.test(line.slice(semicolon)))
    throw new MessageProblem("malformed chunk extension");
  return Number.parseInt(size, 16);
}

function trailersOf(flat: readonly string[]): Fields | undefined {
  const trailers = new Fields();
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (!notInTrailers.has(name)) trailers.append(name, flat[at + 1] ?? "");
  }
  return trailers.flat.length === 0 ? undefined : trailers;
}
