/** What a TLS ClientHello says in clear: the server name and the application protocols (RFC 8446, 6066, 7301). */

export interface ClientHello {
  /** Lower case; undefined when the client names none. */
  readonly serverName: string | undefined;
  readonly protocols: readonly string[];
}

export type TlsLook = ClientHello | "other" | "more";

const handshakeRecord = 22;
const clientHelloType = 1;
const recordHeaderBytes = 5;
/** RFC 8446 section 5.1; some send slightly more in a legacy record. */
const maxRecordBytes = 16 * 1024 + 256;

export function lookForTls(bytes: Buffer, start: number, end: number): TlsLook {
  if (start === end) return "more";
  const hello = helloOf(bytes, start, end);
  return Buffer.isBuffer(hello) ? parseHello(hello) : hello;
}

/** The body of the first handshake message, joined from its records. */
function helloOf(bytes: Buffer, start: number, end: number): Buffer | "other" | "more" {
  const message = Buffer.allocUnsafe(end - start);
  let come = 0;
  for (let at = start; at < end; ) {
    const length = recordLength(bytes, at, end);
    if (typeof length === "string") return length;
    const from = at + recordHeaderBytes;
    at = from + length;
    come += bytes.copy(message, come, from, Math.min(at, end));
    if (come > 0 && message[0] !== clientHelloType) return "other";
  }
  const wanted = come < 4 ? Number.POSITIVE_INFINITY : 4 + message.readUIntBE(1, 3);
  return come < wanted ? "more" : message.subarray(4, wanted);
}

function recordLength(bytes: Buffer, at: number, end: number): number | "other" | "more" {
  if (bytes[at] !== handshakeRecord) return "other";
  if (at + 1 < end && bytes[at + 1] !== 3) return "other";
  if (at + recordHeaderBytes > end) return "more";
  const length = bytes.readUInt16BE(at + 3);
  return length === 0 || length > maxRecordBytes ? "other" : length;
}

/** Reads forward; undefined once something lies beyond the end. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  take(length: number): Buffer | undefined {
    const next = this.#at + length;
    if (next > this.#bytes.length) return undefined;
    const part = this.#bytes.subarray(this.#at, next);
    this.#at = next;
    return part;
  }

  /** A vector with its length in so many octets in front. */
  vector(lengthBytes: number): Buffer | undefined {
    const length = this.take(lengthBytes);
    return length === undefined ? undefined : this.take(length.readUIntBE(0, lengthBytes));
  }
}

function parseHello(body: Buffer): ClientHello | "other" {
  const cursor = new Cursor(body);
  const fixed = cursor.take(34);
  const sessionId = cursor.vector(1);
  const suites = cursor.vector(2);
  const compression = cursor.vector(1);
  if (!fixed || !sessionId || !suites || !compression) return "other";
  if (cursor.done) return { serverName: undefined, protocols: [] };
  const extensions = cursor.vector(2);
  return extensions === undefined ? "other" : readExtensions(new Cursor(extensions));
}

function readExtensions(cursor: Cursor): ClientHello | "other" {
  let serverName: string | undefined;
  let protocols: readonly string[] = [];
  while (!cursor.done) {
    const type = cursor.take(2)?.readUInt16BE(0);
    const body = cursor.vector(2);
    if (type === undefined || body === undefined) return "other";
    if (type === 0) {
      serverName = readServerName(body);
      if (serverName === undefined) return "other";
    }
    if (type === 16) protocols = readProtocols(body);
  }
  return { serverName, protocols };
}

function readServerName(body: Buffer): string | undefined {
  const list = new Cursor(body).vector(2);
  if (list === undefined) return undefined;
  const cursor = new Cursor(list);
  const type = cursor.take(1)?.[0];
  const name = cursor.vector(2);
  if (type !== 0 || name === undefined || name.length === 0 || name.length > 255) return undefined;
  return name.includes(0) ? undefined : name.toString("latin1").toLowerCase();
}

/** What is malformed here is left to the real TLS server. */
function readProtocols(body: Buffer): readonly string[] {
  const list = new Cursor(body).vector(2);
  if (list === undefined) return [];
  const cursor = new Cursor(list);
  const found: string[] = [];
  while (!cursor.done) {
    const name = cursor.vector(1);
    if (name === undefined || name.length === 0) return [];
    found.push(name.toString("latin1"));
  }
  return found;
}
