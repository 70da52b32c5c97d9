/**
 * URI templates (envoy.path.match.uri_template): `*` is one path segment's text, `**` is any rest, `{name=pattern}` a variable.
 * Turned into an expression over the characters of a path, so that matching stays linear.
 */
import type { UriTemplate } from "../model/route.ts";
import { CompileError, type Path } from "./notes.ts";
import { regexOf } from "./regex.ts";

/** RFC 3986's characters of a segment, without `*`, which the pattern language keeps for itself. */
const segmentCharacter = "[a-zA-Z0-9._~%!$&'()+,;:@=-]";
const restCharacter = "[a-zA-Z0-9._~%!$&'()+,;:@=/-]";
const literal = /[a-zA-Z0-9._~%!$&'()+,;:@=/-]/;

const MAX_VARIABLES = 5;

export function compileUriTemplate(source: string, path: Path): UriTemplate {
  const refuse = (problem: string) => new CompileError(path, `"${source}" ${problem}`);
  if (!source.startsWith("/")) throw refuse("does not begin with a slash");
  const pieces = piecesOf(withoutVariables(source, refuse), refuse);
  const rest = pieces.indexOf("**");
  if (rest !== -1 && pieces.slice(rest + 1).some((piece) => piece.startsWith("*")))
    throw refuse("has an operator after **");
  const expression = pieces.map(pieceExpression).join("");
  const regex = regexOf(expression, path);
  return { source, matches: (text) => regex.fullMatch(text) };
}

function pieceExpression(piece: string): string {
  if (piece === "**") return `${restCharacter}*`;
  if (piece === "*") return `${segmentCharacter}+`;
  return piece.replace(/[.$()+]/g, "\\$&");
}

type Refuse = (problem: string) => CompileError;

/** Names do not matter for matching: `{a=videos/*}` becomes `videos/*`. */
function withoutVariables(source: string, refuse: Refuse): string {
  const names = new Set<string>();
  const plain = source.replace(/\{([^{}]*)\}/g, (_whole, inside: string) => {
    const equals = inside.indexOf("=");
    const name = equals === -1 ? inside : inside.slice(0, equals);
    if (!/^[a-zA-Z][a-zA-Z0-9_]{0,15}$/.test(name)) throw refuse(`has the variable name "${name}"`);
    if (names.has(name)) throw refuse(`has the variable ${name} twice`);
    names.add(name);
    if (equals === inside.length - 1) throw refuse(`has no pattern for ${name}`);
    return equals === -1 ? "*" : inside.slice(equals + 1);
  });
  if (names.size > MAX_VARIABLES) throw refuse(`has more than ${MAX_VARIABLES} variables`);
  return plain;
}

/** `*`, `**` and the text between them. */
function piecesOf(plain: string, refuse: Refuse): readonly string[] {
  const pieces: string[] = [];
  for (const piece of plain.match(/\*+|[^*]+/g) ?? []) {
    if (/^\*{3}/.test(piece)) throw refuse("has more than two stars in a row");
    if (!piece.startsWith("*"))
      for (const character of piece)
        if (!literal.test(character)) throw refuse(`has the character "${character}"`);
    pieces.push(piece);
  }
  return pieces;
}
