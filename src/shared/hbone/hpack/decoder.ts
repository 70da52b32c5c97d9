/**
 * HPACK decoder (RFC 7541): the whole format. A block always runs to its end, so that the dynamic table stays in step with
 * the peer's even when the list is too large to keep; what is too large is counted, not stored.
 */
import { ConnectionError, errorCode } from "../http2/errors.ts";
import type { HeaderField } from "../tunnel.ts";
import { decodeHuffman } from "./huffman.ts";
import { DynamicTable, entryOverheadBytes, staticTable } from "./tables.ts";

/** The same as one flat list: name, value, name, value. */
export interface DecodedFields {
  readonly flat: string[];
  readonly tooLarge: boolean;
}

export interface DecodedHeaders {
  readonly fields: readonly HeaderField[];
  /** The list was larger than allowed; `fields` holds only its beginning. */
  readonly tooLarge: boolean;
}

/** Nothing we read can be longer than this, and 28 bits never overflow an integer. */
const maxInteger = 2 ** 28;

const noBytes = Buffer.alloc(0);

export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #tableLimitBytes: number;
  readonly #maxListBytes: number;
  #bytes: Buffer = noBytes;
  #at = 0;
  #end = 0;
  /** The field that was read last. */
  #name = "";
  #value = "";

  /** `tableLimitBytes` is the SETTINGS_HEADER_TABLE_SIZE we announced. */
  constructor(maxListBytes: number, tableLimitBytes = 4096) {
    this.#maxListBytes = maxListBytes;
    this.#tableLimitBytes = tableLimitBytes;
    this.#table = new DynamicTable(tableLimitBytes);
  }

  /** Decodes the complete header block in [start, end). Throws ConnectionError COMPRESSION_ERROR. */
  decode(bytes: Uint8Array, start: number, end: number): DecodedHeaders {
    const fields: HeaderField[] = [];
    this.#begin(bytes, start, end);
    let listBytes = 0;
    while (this.#next(listBytes > 0)) {
      listBytes += this.#fieldBytes();
      if (listBytes <= this.#maxListBytes) fields.push([this.#name, this.#value]);
    }
    return { fields, tooLarge: listBytes > this.#maxListBytes };
  }

  /** The same without an array for each field. */
  decodeFlat(bytes: Uint8Array, start: number, end: number): DecodedFields {
    const flat: string[] = [];
    this.#begin(bytes, start, end);
    let listBytes = 0;
    while (this.#next(listBytes > 0)) {
      listBytes += this.#fieldBytes();
      if (listBytes <= this.#maxListBytes) flat.push(this.#name, this.#value);
    }
    return { flat, tooLarge: listBytes > this.#maxListBytes };
  }

  #begin(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = start;
    this.#end = end;
  }

  /** Reads one field into `#name` and `#value`; false at the end of the block. */
  #next(fieldSeen: boolean): boolean {
    while (this.#at < this.#end) {
      const first = this.#bytes[this.#at] ?? 0;
      if ((first & 0xe0) !== 0x20) {
        this.#field(first);
        return true;
      }
      this.#resizeTable(fieldSeen);
    }
    // The session's memory belongs to the pool; keep no reference to it.
    this.#bytes = noBytes;
    return false;
  }

  #fieldBytes(): number {
    return this.#name.length + this.#value.length + entryOverheadBytes;
  }

  #resizeTable(fieldSeen: boolean): void {
    const size = this.#integer(5);
    if (fieldSeen || size > this.#tableLimitBytes) throw broken("bad table size update");
    this.#table.resize(size);
  }

  #field(first: number): void {
    if ((first & 0x80) !== 0) {
      const field = this.#indexed(this.#integer(7));
      this.#name = field[0];
      this.#value = field[1];
      return;
    }
    const remember = (first & 0xc0) === 0x40;
    const nameIndex = this.#integer(remember ? 6 : 4);
    this.#name = nameIndex === 0 ? this.#text() : this.#indexed(nameIndex)[0];
    this.#value = this.#text();
    if (remember) this.#table.add([this.#name, this.#value]);
  }

  #indexed(index: number): HeaderField {
    const field =
      index <= staticTable.length
        ? staticTable[index - 1]
        : this.#table.at(index - staticTable.length - 1);
    if (field === undefined) throw broken(`no entry ${index}`);
    return field;
  }

  /** RFC 7541 section 5.1. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#octet() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 28; shift += 7) {
      const octet = this.#octet();
      value += (octet & 0x7f) * 2 ** shift;
      if (value > maxInteger) break;
      if ((octet & 0x80) === 0) return value;
    }
    throw broken("integer too large");
  }

  #text(): string {
    const huffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw broken("text beyond the end of the block");
    this.#at = end;
    return huffman
      ? decodeHuffman(this.#bytes, start, end)
      : this.#bytes.toString("latin1", start, end);
  }

  #octet(): number {
    if (this.#at >= this.#end) throw broken("block ends within a field");
    return this.#bytes[this.#at++] ?? 0;
  }
}

function broken(what: string): ConnectionError {
  return new ConnectionError(errorCode.compressionError, `Cannot decode header block: ${what}`);
}
