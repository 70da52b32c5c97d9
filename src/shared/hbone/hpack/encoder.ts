/**
 * HPACK encoder (RFC 7541): static table, dynamic table for the fields that repeat on a session, plain octets for the
 * rest. Fields that differ on each request (`forwarded`, `traceparent`) are never indexed: they would push the constant
 * ones out of the peer's table.
 */
import type { HeaderField } from "../tunnel.ts";
import { DynamicTable, fieldSize, staticTable } from "./tables.ts";

const staticNames = new Map<string, number>();
const staticFields = new Map<string, number>();
for (const [position, field] of staticTable.entries()) {
  if (!staticNames.has(field[0])) staticNames.set(field[0], position + 1);
  staticFields.set(key(field), position + 1);
}

/** Names whose values repeat on a session. */
const repeating: ReadonlySet<string> = new Set([
  ":method",
  ":authority",
  ":status",
  "baggage",
  "x-forwarded-network",
]);

/** The most we keep, whatever the peer allows. */
const tableLimitBytes = 4096;

export class HpackEncoder {
  readonly #table = new DynamicTable(tableLimitBytes);
  /** Field to the number of its insertion; entries of evicted numbers are dropped when they are met. */
  readonly #known = new Map<string, number>();
  #out = Buffer.allocUnsafe(256);
  #length = 0;
  /** Smallest and last size to announce in front of the next block (RFC 7541 section 4.2). */
  #announce: { smallest: number; last: number } | undefined;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableSize(bytes: number): void {
    const size = Math.min(bytes, tableLimitBytes);
    if (size === this.#table.maxBytes && this.#announce === undefined) return;
    this.#table.resize(size);
    this.#announce = {
      smallest: Math.min(size, this.#announce?.smallest ?? size),
      last: size,
    };
  }

  /** The encoded block. It stays valid until the next call. */
  encode(fields: readonly HeaderField[]): Buffer {
    this.#length = 0;
    this.#announceSize();
    for (const field of fields) this.#field(field);
    return this.#out.subarray(0, this.#length);
  }

  #announceSize(): void {
    const announce = this.#announce;
    if (announce === undefined) return;
    this.#announce = undefined;
    if (announce.smallest < announce.last) this.#integer(0x20, 5, announce.smallest);
    this.#integer(0x20, 5, announce.last);
  }

  #field(field: HeaderField): void {
    const repeats = repeating.has(field[0]);
    // What is never remembered cannot be found either: only the static table may have it.
    const text = repeats || staticNames.has(field[0]) ? key(field) : "";
    const index = staticFields.get(text) ?? this.#dynamicIndex(text);
    if (index !== undefined) {
      this.#integer(0x80, 7, index);
      return;
    }
    const remember = repeats && fieldSize(field) <= this.#table.maxBytes / 2;
    const nameIndex = staticNames.get(field[0]) ?? 0;
    if (remember) this.#integer(0x40, 6, nameIndex);
    else this.#integer(0x00, 4, nameIndex);
    if (nameIndex === 0) this.#text(field[0]);
    this.#text(field[1]);
    if (!remember) return;
    this.#table.add(field);
    // Evicted fields stay in the map until met again; this bounds it.
    if (this.#known.size > 256) this.#known.clear();
    this.#known.set(text, this.#table.insertions);
  }

  #dynamicIndex(text: string): number | undefined {
    const insertion = this.#known.get(text);
    if (insertion === undefined) return undefined;
    const position = this.#table.insertions - insertion;
    if (position >= this.#table.length) {
      this.#known.delete(text);
      return undefined;
    }
    return staticTable.length + 1 + position;
  }

  #integer(pattern: number, prefixBits: number, value: number): void {
    this.#reserve(6);
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.#out[this.#length++] = pattern | value;
      return;
    }
    this.#out[this.#length++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      this.#out[this.#length++] = 0x80 | (rest & 0x7f);
      rest >>>= 7;
    }
    this.#out[this.#length++] = rest;
  }

  #text(text: string): void {
    this.#integer(0x00, 7, text.length);
    this.#reserve(text.length);
    this.#length += this.#out.write(text, this.#length, "latin1");
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#out.length) return;
    const larger = Buffer.allocUnsafe((this.#length + bytes) * 2);
    this.#out.copy(larger, 0, 0, this.#length);
    this.#out = larger;
  }
}

/** NUL stands in neither names nor values, so the key is unambiguous. */
function key(field: HeaderField): string {
  return `${field[0]}\0${field[1]}`;
}
