/**
 * HPACK decoder (RFC 7541): the whole format. A block always runs to its end, so that the dynamic table stays in step with
 * the peer's even when the list is too large to keep; what is too large is counted, not stored.
 */
import { ConnectionError, errorCode } from "../http2/errors.ts";
import type { HeaderField } from "../tunnel.ts";
import { decodeHuffman } from "./huffman.ts";
import { DynamicTable, fieldSize, staticTable } from "./tables.ts";

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

  /** `tableLimitBytes` is the SETTINGS_HEADER_TABLE_SIZE we announced. */
  constructor(maxListBytes: number, tableLimitBytes = 4096) {
    this.#maxListBytes = maxListBytes;
    this.#tableLimitBytes = tableLimitBytes;
    this.#table = new DynamicTable(tableLimitBytes);
  }

  /** Decodes the complete header block in [start, end). Throws ConnectionError COMPRESSION_ERROR. */
  decode(bytes: Uint8Array, start: number, end: number): DecodedHeaders {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = start;
    this.#end = end;
    const fields: HeaderField[] = [];
    let listBytes = 0;
    let fieldSeen = false;
    while (this.#at < this.#end) {
      const first = bytes[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        this.#resizeTable(fieldSeen);
        continue;
      }
      fieldSeen = true;
      const field = this.#field(first);
      listBytes += fieldSize(field);
      if (listBytes <= this.#maxListBytes) fields.push(field);
    }
    // The session's memory belongs to the pool; keep no reference to it.
    this.#bytes = noBytes;
    return { fields, tooLarge: listBytes > this.#maxListBytes };
  }

  #resizeTable(fieldSeen: boolean): void {
    const size = this.#integer(5);
    if (fieldSeen || size > this.#tableLimitBytes) throw broken("bad table size update");
    this.#table.resize(size);
  }

  #field(first: number): HeaderField {
    if ((first & 0x80) !== 0) return this.#indexed(this.#integer(7));
    const remember = (first & 0xc0) === 0x40;
    const nameIndex = this.#integer(remember ? 6 : 4);
    const name = nameIndex === 0 ? this.#text() : this.#indexed(nameIndex)[0];
    const field: HeaderField = [name, this.#text()];
    if (remember) this.#table.add(field);
    return field;
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
