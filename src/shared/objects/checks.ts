/** Small rules that several kinds share. */
import { RE2JS } from "re2js";
import type { StringMatch } from "./kinds/virtual-service.ts";
import type { Path, Problem } from "./schema.ts";

/** Collects what is wrong below one place of an object. */
export class Checker {
  readonly #problems: Problem[];
  readonly #path: Path;

  constructor(problems: Problem[], path: Path = []) {
    this.#problems = problems;
    this.#path = path;
  }

  at(...path: Path): Checker {
    return new Checker(this.#problems, [...this.#path, ...path]);
  }

  refuse(reason: string, ...path: Path): void {
    this.#problems.push({ path: [...this.#path, ...path], reason });
  }

  /** The language of the proxy's expressions is RE2: no look-around, no back-references. */
  regex(expression: string | undefined, ...path: Path): void {
    if (expression === undefined) return;
    try {
      RE2JS.compile(expression);
    } catch {
      this.refuse(`${JSON.stringify(expression)} is not a regular expression of RE2`, ...path);
    }
  }

  match(match: StringMatch | undefined, ...path: Path): void {
    if (match === undefined) return;
    const stated = [match.exact, match.prefix, match.regex].filter((text) => text !== undefined);
    if (stated.length > 1) this.refuse("takes only one of exact, prefix and regex", ...path);
    if (match.regex !== "*") this.regex(match.regex, ...path, "regex");
  }

  /** What is said once, at most. */
  unique(values: readonly string[], what: string, ...path: Path): void {
    values.forEach((value, index) => {
      if (values.indexOf(value) < index)
        this.refuse(`${what} ${JSON.stringify(value)} stands here twice`, ...path, index);
    });
  }

  headerName(name: string, ...path: Path): void {
    if (!HEADER_NAME.test(name))
      this.refuse(`${JSON.stringify(name)} is not the name of a header`, ...path);
  }

  shortest(milliseconds: number | undefined, ...path: Path): void {
    if (milliseconds !== undefined && milliseconds < 1)
      this.refuse("must be 1ms or longer", ...path);
  }
}

/** A token of RFC 9110 section 5.6.2, and the names that stand for parts of the request line. */
const HEADER_NAME = /^:?[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;
