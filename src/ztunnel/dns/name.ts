/**
 * Domain names on the wire (RFC 1035 sections 3.1 and 4.1.4). A name is a list of labels, each a string with one character
 * a byte, in the case in which it was sent: clients that randomize case must get theirs back.
 */

/** Empty: the root. */
export type DnsName = readonly string[];

const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 255;
/** Names live behind the header; a pointer into it is an attack or an accident. */
const HEADER_BYTES = 12;
/** A pointer has 14 bits. */
const POINTER_LIMIT = 0x4000;

export interface DecodedName {
  readonly name: DnsName;
  /** Offset behind the name where it stands (not where its last pointer leads). */
  readonly end: number;
}

/** Where the pointer at `at` leads. Always before `segment`, so there is no loop and no need to count jumps. */
function pointerTarget(bytes: Uint8Array, at: number, segment: number): number | undefined {
  const low = bytes[at + 1];
  if (low === undefined) return undefined;
  const target = (((bytes[at] ?? 0) & 0x3f) << 8) | low;
  return target < segment && target >= HEADER_BYTES ? target : undefined;
}

/** Undefined when cut off, too long, of an unknown label type, or with a pointer that does not lead strictly backwards. */
export function decodeName(bytes: Uint8Array, start: number): DecodedName | undefined {
  const name: string[] = [];
  let wireBytes = 1;
  let end: number | undefined;
  let segment = start;
  let at = start;
  for (let length = bytes[at]; length !== 0; length = bytes[at]) {
    if (length === undefined) return undefined;
    if (length >= 0xc0) {
      const target = pointerTarget(bytes, at, segment);
      if (target === undefined) return undefined;
      end ??= at + 2;
      segment = target;
      at = target;
      continue;
    }
    const next = at + 1 + length;
    wireBytes += 1 + length;
    if (length > MAX_LABEL_BYTES || wireBytes > MAX_NAME_BYTES || next > bytes.length)
      return undefined;
    name.push(String.fromCharCode(...bytes.subarray(at + 1, next)));
    at = next;
  }
  return { name, end: end ?? at + 1 };
}

const PLAIN_LABEL = /^[!-~]+$/;

function labelText(label: string): string {
  if (PLAIN_LABEL.test(label) && !label.includes("\\") && !label.includes(".")) return label;
  return label.replace(/[^!-~]|[\\.]/g, (byte) =>
    byte === "." || byte === "\\"
      ? `\\${byte}`
      : `\\${String(byte.charCodeAt(0)).padStart(3, "0")}`,
  );
}

/** Labels in lower case and with unusual bytes escaped (RFC 1035 section 5.1), so that joining them is unambiguous. */
export function foldLabels(name: DnsName): DnsName {
  return name.map((label) => labelText(label).toLowerCase());
}

/** For log lines: escaped, with the final dot. */
export function nameText(name: DnsName): string {
  return `${name.map(labelText).join(".")}.`;
}

/** Writes names into a message and lets later ones point at the tails of earlier ones. */
export class NameWriter {
  readonly #target: Buffer;
  /** Offsets by tail; a tail is keyed by its wire form, so bytes inside labels cannot be taken for separators. */
  readonly #offsets = new Map<string, number>();

  constructor(target: Buffer) {
    this.#target = target;
  }

  /** Registers a name that already stands uncompressed in the message. */
  note(name: DnsName, start: number): void {
    let offset = start;
    for (const [index, label] of name.entries()) {
      const key = wireKey(name.slice(index));
      if (offset < POINTER_LIMIT && !this.#offsets.has(key)) this.#offsets.set(key, offset);
      offset += 1 + label.length;
    }
  }

  /** Number of bytes that write() would take. */
  sizeOf(name: DnsName): number {
    let size = 0;
    for (const [index, label] of name.entries()) {
      if (this.#offsets.has(wireKey(name.slice(index)))) return size + 2;
      size += 1 + label.length;
    }
    return size + 1;
  }

  /** Returns the offset behind the name. The caller has made sure that it fits. */
  write(name: DnsName, start: number): number {
    let at = start;
    for (const [index, label] of name.entries()) {
      const key = wireKey(name.slice(index));
      const known = this.#offsets.get(key);
      if (known !== undefined) return this.#target.writeUInt16BE(0xc000 | known, at);
      if (at < POINTER_LIMIT) this.#offsets.set(key, at);
      at = this.#target.writeUInt8(label.length, at);
      at += this.#target.write(label, at, "latin1");
    }
    return this.#target.writeUInt8(0, at);
  }
}

function wireKey(name: DnsName): string {
  let key = "";
  for (const label of name) key += String.fromCharCode(label.length) + label;
  return key;
}
