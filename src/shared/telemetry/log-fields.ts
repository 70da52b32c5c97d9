/**
 * The fields of log lines as text: quoted as the reference does, or as JSON. Fields that stand in many lines can be printed
 * once and added as text.
 */

export type LogFormat = "plain" | "json";

/** Text that the plain form prints without quotes: addresses and other values without spaces. */
export class Unquoted {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toJSON(): string {
    return this.text;
  }
}

/** Undefined fields are left out. */
export type LogValue = string | number | boolean | Unquoted | undefined;
export type LogFields = Readonly<Record<string, LogValue>>;

/** What needs no escape between quotes. */
const PLAIN_TEXT = /^[^"\\\p{C}\p{Zl}\p{Zp}]*$/u;

/** Quotes text the way the reference does: Rust's debug form, which names other characters by `\u{hex}`. */
export function quote(text: string): string {
  if (PLAIN_TEXT.test(text)) return `"${text}"`;
  let quoted = "";
  for (const char of text) quoted += PLAIN_TEXT.test(char) ? char : escapeChar(char);
  return `"${quoted}"`;
}

function escapeChar(char: string): string {
  switch (char) {
    case '"':
    case "\\":
      return `\\${char}`;
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
    case "\0":
      return "\\0";
    default:
      return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
  }
}

/** Prints fields one after the other, in the order in which they are added. */
export class FieldPrinter {
  readonly #format: LogFormat;
  #text = "";

  constructor(format: LogFormat) {
    this.#format = format;
  }

  /** What was printed so far: without a separator in front or behind, empty when nothing was. */
  get text(): string {
    return this.#text;
  }

  add(key: string, value: LogValue): this {
    if (value === undefined) return this;
    if (value instanceof Unquoted) return this.addBare(key, value.text);
    if (this.#format === "json") return this.#print(`"${key}":${JSON.stringify(value)}`);
    return this.#print(`${key}=${typeof value === "string" ? quote(value) : String(value)}`);
  }

  /** Text without quotes in the plain form: addresses and the like. */
  addBare(key: string, text: string): this {
    return this.#print(
      this.#format === "json" ? `"${key}":${JSON.stringify(text)}` : `${key}=${text}`,
    );
  }

  /** Text of a printer of the same format. */
  addPrinted(text: string): this {
    return text === "" ? this : this.#print(text);
  }

  #print(field: string): this {
    if (this.#text === "") this.#text = field;
    else this.#text += (this.#format === "json" ? "," : " ") + field;
    return this;
  }
}
