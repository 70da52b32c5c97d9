/** Expressions that are plain text with at most one `.*` or `.+` at an end: compared without a machine. */

export type Literal =
  | { readonly kind: "exact"; readonly text: string }
  | { readonly kind: "prefix"; readonly text: string; readonly more: 0 | 1 }
  | { readonly kind: "suffix"; readonly text: string; readonly more: 0 | 1 };

const special = /[\\^$.|?*+()[\]{}]/;

/** Undefined: needs the machine. */
export function literalOf(source: string): Literal | undefined {
  const body = source.replace(/^\^/, "").replace(/(?<!\\)\$$/, "");
  if (body.endsWith(".*") || body.endsWith(".+")) {
    const text = plain(body.slice(0, -2));
    return text === undefined
      ? undefined
      : { kind: "prefix", text, more: body.endsWith("+") ? 1 : 0 };
  }
  if (body.startsWith(".*") || body.startsWith(".+")) {
    const text = plain(body.slice(2));
    return text === undefined
      ? undefined
      : { kind: "suffix", text, more: body.startsWith(".+") ? 1 : 0 };
  }
  const text = plain(body);
  return text === undefined ? undefined : { kind: "exact", text };
}

/** The text that the expression stands for: `/a\.b` is `/a.b`. */
function plain(source: string): string | undefined {
  const unescaped = source.replace(/\\([\\^$.|?*+()[\]{}/-])/g, "");
  if (special.test(unescaped)) return undefined;
  return source.replace(/\\(.)/g, "$1");
}

export function matchesLiteral(literal: Literal, text: string): boolean {
  switch (literal.kind) {
    case "exact":
      return text === literal.text;
    case "prefix":
      return (
        text.startsWith(literal.text) &&
        text.length >= literal.text.length + literal.more &&
        !hasLineFeed(text, literal.text.length, text.length)
      );
    case "suffix":
      return (
        text.endsWith(literal.text) &&
        text.length >= literal.text.length + literal.more &&
        !hasLineFeed(text, 0, text.length - literal.text.length)
      );
  }
}

/** `.` is everything but a line feed. */
function hasLineFeed(text: string, start: number, end: number): boolean {
  const found = text.indexOf("\n", start);
  return found !== -1 && found < end;
}
