/** Expressions cut into tokens (CEL specification, "Syntax"). */

/** The expression cannot be understood; says where. */
export class CelSyntaxError extends Error {
  constructor(problem: string, at: number, options?: ErrorOptions) {
    super(`${problem} at character ${at + 1}`, options);
    this.name = "CelSyntaxError";
  }
}

export type Token =
  | { readonly kind: "name"; readonly text: string; readonly at: number }
  | { readonly kind: "operator"; readonly text: string; readonly at: number }
  | {
      readonly kind: "literal";
      readonly value: null | boolean | bigint | number | string | Uint8Array;
      readonly at: number;
    }
  | { readonly kind: "end"; readonly at: number };

const SPACE = /[\t\n\f\r ]+|\/\/[^\n]*/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER =
  /0[xX]([0-9a-fA-F]+)([uU])?|(\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)|(\d+)([uU])?/y;
const OPERATOR = /&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()[\]{}]/y;
const QUOTE = /([rR]?[bB]?|[bB][rR])("""|'''|"|')/y;

const MAX_INT = 2n ** 63n;
const MAX_UINT = 2n ** 64n;

const RESERVED: ReadonlySet<string> = new Set(
  "as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "`": "`",
  "?": "?",
};

const encoder = new TextEncoder();

class Lexer {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  all(): Token[] {
    const tokens: Token[] = [];
    for (;;) {
      while (this.#take(SPACE) !== undefined);
      const token = this.#next();
      tokens.push(token);
      if (token.kind === "end") return tokens;
    }
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source);
    if (found === null) return undefined;
    this.#at = pattern.lastIndex;
    return found;
  }

  #next(): Token {
    const at = this.#at;
    if (at >= this.#source.length) return { kind: "end", at };
    const quote = this.#take(QUOTE);
    if (quote !== undefined) return this.#text(at, quote[1] ?? "", quote[2] ?? "");
    const name = this.#take(NAME);
    if (name !== undefined) return nameToken(name[0], at);
    const number = this.#take(NUMBER);
    if (number !== undefined) return { kind: "literal", value: numberOf(number, at), at };
    const operator = this.#take(OPERATOR);
    if (operator !== undefined) return { kind: "operator", text: operator[0], at };
    throw new CelSyntaxError(`unexpected "${this.#source[at]}"`, at);
  }

  #text(at: number, prefix: string, quote: string): Token {
    const raw = /r/i.test(prefix);
    const asBytes = /b/i.test(prefix);
    const bytes: number[] = [];
    let text = "";
    while (!this.#source.startsWith(quote, this.#at)) {
      const piece = this.#piece(at, raw, asBytes, quote.length === 1);
      if (typeof piece === "number") bytes.push(piece);
      else if (asBytes) bytes.push(...encoder.encode(piece));
      else text += piece;
    }
    this.#at += quote.length;
    return { kind: "literal", value: asBytes ? new Uint8Array(bytes) : text, at };
  }

  /** One character or escape of a string. */
  #piece(start: number, raw: boolean, asBytes: boolean, oneLine: boolean): string | number {
    const point = this.#source.codePointAt(this.#at);
    if (point === undefined || (oneLine && (point === 10 || point === 13)))
      throw new CelSyntaxError("the string has no end", start);
    if (point === 92 && !raw) return this.#escape(asBytes);
    const char = String.fromCodePoint(point);
    this.#at += char.length;
    return char;
  }

  /** A number is one octet of a bytes literal. */
  #escape(asBytes: boolean): string | number {
    const at = this.#at;
    const code = this.#source[at + 1] ?? "";
    const simple = SIMPLE_ESCAPES[code];
    if (simple !== undefined) {
      this.#at += 2;
      return simple;
    }
    const pattern = asBytes
      ? /\\(?:[xX]([0-9a-fA-F]{2})|([0-3][0-7]{2}))/y
      : /\\(?:[xX]([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
    const found = this.#take(pattern);
    if (found === undefined) throw new CelSyntaxError(`unknown escape "\\${code}"`, at);
    const [, hex, octal, short, long] = found;
    const value = Number.parseInt(
      hex ?? octal ?? short ?? long ?? "",
      octal === undefined ? 16 : 8,
    );
    if (asBytes) return value;
    if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
      throw new CelSyntaxError("the escape names no character", at);
    return String.fromCodePoint(value);
  }
}

function nameToken(text: string, at: number): Token {
  if (text === "true" || text === "false") return { kind: "literal", value: text === "true", at };
  if (text === "null") return { kind: "literal", value: null, at };
  if (text === "in") return { kind: "operator", text, at };
  if (RESERVED.has(text)) throw new CelSyntaxError(`"${text}" is a reserved word`, at);
  return { kind: "name", text, at };
}

function numberOf(found: RegExpExecArray, at: number): bigint | number {
  const [text, hex, hexUnsigned, double, decimal, unsigned] = found;
  if (double !== undefined) return Number(text);
  const value = BigInt(hex === undefined ? (decimal ?? "0") : `0x${hex}`);
  const limit = (hexUnsigned ?? unsigned) === undefined ? MAX_INT : MAX_UINT;
  // The least integer is written as minus the largest plus one, so that one value too many passes here.
  if (value > limit) throw new CelSyntaxError(`${text} is too large`, at);
  return value;
}

export function tokenize(source: string): readonly Token[] {
  return new Lexer(source).all();
}
