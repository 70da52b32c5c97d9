/**
 * URI templates as Envoy's uri_template extension has them: `*` is one segment or a part of one, `**` anything to the
 * end, `{name}` and `{name=pattern}` the same with a name. Matched in linear time, as a regular expression.
 */
import type { UriTemplate } from "../model/route.ts";
import { CompileError, type Path } from "./notes.ts";
import { regexOf } from "./regex.ts";

/** pchar of RFC 3986 without the asterisk, which is an operator. */
const SEGMENT_CHARS = "a-zA-Z0-9\\-._~%!$&'()+,;:@=";
const ONE_SEGMENT = `[${SEGMENT_CHARS}]+`;
const ANY_SEGMENTS = `[${SEGMENT_CHARS}/]*`;
const LITERAL = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=/]$/;
const VARIABLE_NAME = /^[a-zA-Z]\w{0,15}$/;
const MAX_VARIABLES = 5;

export function compileUriTemplate(source: string, path: Path): UriTemplate {
  const regex = regexOf(new TemplateReader(source, path).pattern(), path);
  return { source, matches: (text) => regex.fullMatch(text) };
}

class TemplateReader {
  readonly #source: string;
  readonly #path: Path;
  readonly #variables = new Set<string>();
  #sawDoubleStar = false;

  constructor(source: string, path: Path) {
    this.#source = source;
    this.#path = path;
  }

  pattern(): string {
    if (!this.#source.startsWith("/")) this.#refuse("does not start with a slash");
    return this.#part(this.#source, true);
  }

  #part(text: string, variablesAllowed: boolean): string {
    let pattern = "";
    for (let at = 0; at < text.length; ) {
      const char = text[at] ?? "";
      if (text.startsWith("**", at)) {
        pattern += this.#operator(ANY_SEGMENTS);
        this.#sawDoubleStar = true;
        at += 2;
      } else if (char === "*") {
        pattern += this.#operator(ONE_SEGMENT);
        at += 1;
      } else if (char === "{" && variablesAllowed) {
        const end = text.indexOf("}", at);
        if (end < 0) this.#refuse("has an opening brace without a closing one");
        pattern += this.#variable(text.slice(at + 1, end));
        at = end + 1;
      } else {
        if (!LITERAL.test(char)) this.#refuse(`has a ${JSON.stringify(char)} in it`);
        pattern += char.replace(/[.$()+]/, "\\$&");
        at += 1;
      }
    }
    return pattern;
  }

  #operator(pattern: string): string {
    if (this.#sawDoubleStar) this.#refuse("has an operator after **");
    return pattern;
  }

  #variable(text: string): string {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    if (!VARIABLE_NAME.test(name)) this.#refuse(`has a variable with the name ${name}`);
    if (this.#variables.has(name)) this.#refuse(`has the variable ${name} twice`);
    this.#variables.add(name);
    if (this.#variables.size > MAX_VARIABLES) this.#refuse("has too many variables");
    const inner = equals < 0 ? "*" : text.slice(equals + 1);
    if (inner === "") this.#refuse(`has an empty pattern for ${name}`);
    return this.#part(inner, false);
  }

  #refuse(problem: string): never {
    throw new CompileError(this.#path, `the template ${this.#source} ${problem}`);
  }
}
