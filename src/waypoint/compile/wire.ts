/** Walks the fields of an encoded protobuf message without decoding what stands in them. */

export class MalformedMessage extends Error {
  constructor() {
    super("the message is cut off or malformed");
    this.name = "MalformedMessage";
  }
}

export class FieldWalker {
  readonly #bytes: Uint8Array;
  #at = 0;
  #start = 0;
  #value: Uint8Array | undefined;
  #number = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** False at the end. Afterwards the getters speak of the next field. */
  next(): boolean {
    if (this.#at >= this.#bytes.length) return false;
    this.#start = this.#at;
    const tag = this.#varint();
    this.#number = Math.floor(tag / 8);
    this.#value = this.#payload(tag & 7);
    return true;
  }

  get number(): number {
    return this.#number;
  }

  /** The octets of a length-delimited field; undefined for any other kind. */
  get value(): Uint8Array | undefined {
    return this.#value;
  }

  /** The whole field with its tag. */
  get whole(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#at);
  }

  #payload(wireType: number): Uint8Array | undefined {
    switch (wireType) {
      case 0:
        this.#varint();
        return undefined;
      case 1:
        this.#take(8);
        return undefined;
      case 2:
        return this.#take(this.#varint());
      case 5:
        this.#take(4);
        return undefined;
      default:
        throw new MalformedMessage();
    }
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const octet = this.#bytes[this.#at];
      if (octet === undefined) throw new MalformedMessage();
      this.#at++;
      value += (octet & 0x7f) * scale;
      if (octet < 0x80) return value;
      scale *= 128;
    }
    throw new MalformedMessage();
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new MalformedMessage();
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
