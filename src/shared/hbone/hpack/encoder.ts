/**
 * HPACK encoder (RFC 7541): static table, dynamic table for the fields that repeat on a session, plain octets for the
 * rest. Fields that differ on each request (`forwarded`, `traceparent`) are never indexed: they would push the constant
 * ones out of the peer's table.
 */
import type { HeaderField } from "../tunnel.ts";
import { DynamicTable, entryOverheadBytes, staticTable } from "./tables.ts";

/** What is known of a name without any session: its index in the static table, and those of its values there. */
interface StaticName {
  readonly index: number;
  readonly values: Map<string, number>;
}

const staticNames = new Map<string, StaticName>();
for (const [position, [name, value]] of staticTable.entries()) {
  const known = staticNames.get(name);
  if (known === undefined)
    staticNames.set(name, { index: position + 1, values: new Map([[value, position + 1]]) });
  else known.values.set(value, position + 1);
}

/**
 * Whether a field goes into the peer's table ("remember"), is sent as it is, or must not be kept by anybody on the way
 * because it is a secret that could be guessed from sizes (RFC 7541 section 7.1.3).
 */
export type Indexing = (name: string, value: string) => "remember" | "plain" | "never";

/** Names whose values repeat on a session of tunnels. */
const repeating: ReadonlySet<string> = new Set([
  ":method",
  ":authority",
  ":status",
  "baggage",
  "x-forwarded-network",
]);

const tunnelIndexing: Indexing = (name) => (repeating.has(name) ? "remember" : "plain");

/** The most we keep, whatever the peer allows. */
const tableLimitBytes = 4096;

export class HpackEncoder {
  readonly #table = new DynamicTable(tableLimitBytes);
  readonly #indexing: Indexing;
  /** Name and value to the number of the insertion; entries of evicted numbers are dropped when they are met. */
  readonly #known = new Map<string, Map<string, number>>();
  #knownFields = 0;
  #out = Buffer.allocUnsafe(256);
  #length = 0;
  /** Smallest and last size to announce in front of the next block (RFC 7541 section 4.2). */
  #announce: { smallest: number; last: number } | undefined;

  constructor(indexing: Indexing = tunnelIndexing) {
    this.#indexing = indexing;
  }

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
    this.begin();
    for (const field of fields) this.field(field[0], field[1]);
    return this.end();
  }

  /** A block field by field: `begin`, `field` for each, `end`. */
  begin(): void {
    this.#length = 0;
    this.#announceSize();
  }

  end(): Buffer {
    return this.#out.subarray(0, this.#length);
  }

  #announceSize(): void {
    const announce = this.#announce;
    if (announce === undefined) return;
    this.#announce = undefined;
    if (announce.smallest < announce.last) this.#integer(0x20, 5, announce.smallest);
    this.#integer(0x20, 5, announce.last);
  }

  field(name: string, value: string): void {
    const known = staticNames.get(name);
    const indexing = this.#indexing(name, value);
    // What is never remembered cannot be found either: only the static table may have it.
    const values = indexing === "remember" ? this.#known.get(name) : undefined;
    const index = known?.values.get(value) ?? this.#dynamicIndex(values, value);
    if (index !== undefined) {
      this.#integer(0x80, 7, index);
      return;
    }
    const bytes = name.length + value.length + entryOverheadBytes;
    const remember = indexing === "remember" && bytes <= this.#table.maxBytes / 2;
    const nameIndex = known?.index ?? 0;
    if (remember) this.#integer(0x40, 6, nameIndex);
    else this.#integer(indexing === "never" ? 0x10 : 0x00, 4, nameIndex);
    if (nameIndex === 0) this.#text(name);
    this.#text(value);
    if (remember) this.#remember(name, value, values);
  }

  #remember(name: string, value: string, values: Map<string, number> | undefined): void {
    this.#table.add([name, value]);
    let kept = values;
    // Evicted fields stay in the map until met again; this bounds it.
    if (++this.#knownFields > 256) {
      this.#known.clear();
      this.#knownFields = 1;
      kept = undefined;
    }
    if (kept === undefined) this.#known.set(name, new Map([[value, this.#table.insertions]]));
    else kept.set(value, this.#table.insertions);
  }

  #dynamicIndex(values: Map<string, number> | undefined, value: string): number | undefined {
    const insertion = values?.get(value);
    if (insertion === undefined) return undefined;
    const position = this.#table.insertions - insertion;
    if (position < this.#table.length) return staticTable.length + 1 + position;
    values?.delete(value);
    this.#knownFields--;
    return undefined;
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
