/** The static table (RFC 7541 appendix A) and the dynamic table of one direction (section 2.3). */
import type { HeaderField } from "../tunnel.ts";

const names =
  ":authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200 :status=204 " +
  ":status=206 :status=304 :status=400 :status=404 :status=500 accept-charset accept-encoding=gzip,~deflate accept-language " +
  "accept-ranges accept access-control-allow-origin age allow authorization cache-control content-disposition " +
  "content-encoding content-language content-length content-location content-range content-type cookie date etag expect " +
  "expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location " +
  "max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie " +
  "strict-transport-security transfer-encoding user-agent vary via www-authenticate";

/** Index 1 stands at position 0. */
export const staticTable: readonly HeaderField[] = names.split(" ").map((entry) => {
  const [name = "", value = ""] = entry.split("=");
  return [name, value.replace("~", " ")];
});

/** What an entry counts beyond its octets (RFC 7541 section 4.1). */
export const entryOverheadBytes = 32;

export function fieldSize(field: HeaderField): number {
  return field[0].length + field[1].length + entryOverheadBytes;
}

/** First in, first out, bounded by size. A ring: the newest entry has index 0. */
export class DynamicTable {
  #entries: HeaderField[] = [];
  /** Entries before this position are evicted and wait for the next tidying. */
  #oldest = 0;
  #sizeBytes = 0;
  #maxBytes: number;
  #evicted = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#entries.length - this.#oldest;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Entries ever inserted: the newest has this number, the first had 1. */
  get insertions(): number {
    return this.#evicted + this.length;
  }

  at(index: number): HeaderField | undefined {
    const position = this.#entries.length - 1 - index;
    return position < this.#oldest ? undefined : this.#entries[position];
  }

  /** An entry larger than the table empties it and is not kept (RFC 7541 section 4.4). */
  add(field: HeaderField): void {
    const size = fieldSize(field);
    this.#evictTo(this.#maxBytes - size);
    if (size > this.#maxBytes) return;
    this.#entries.push(field);
    this.#sizeBytes += size;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(limitBytes: number): void {
    while (this.#sizeBytes > limitBytes && this.length > 0) {
      const field = this.#entries[this.#oldest];
      if (field === undefined) break;
      this.#sizeBytes -= fieldSize(field);
      this.#oldest++;
      this.#evicted++;
    }
    // Half of the array is dead: drop it, so that each entry is moved at most once on average.
    if (this.#oldest > 32 && this.#oldest * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#oldest);
      this.#oldest = 0;
    }
  }
}
