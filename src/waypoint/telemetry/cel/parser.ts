/** Expressions parsed by recursive descent; bounded in length and depth, because users write them. */
import type { BinaryOperator, Node } from "./ast.ts";
import { CelSyntaxError, type Token, tokenize } from "./lexer.ts";

const MAX_LENGTH = 32_768;
const MAX_DEPTH = 64;

const RELATIONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">=", "in"]);
const MACROS: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "filter", "map"]);
const END: Token = { kind: "end", at: 0 };

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Node {
    const node = this.#expression();
    const left = this.#peek();
    if (left.kind !== "end") throw new CelSyntaxError(`unexpected ${describe(left)}`, left.at);
    return node;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? END;
  }

  #operator(text: string): boolean {
    const token = this.#peek();
    if (token.kind !== "operator" || token.text !== text) return false;
    this.#next++;
    return true;
  }

  #operatorOf(texts: ReadonlySet<string>): string | undefined {
    const token = this.#peek();
    if (token.kind !== "operator" || !texts.has(token.text)) return undefined;
    this.#next++;
    return token.text;
  }

  #expect(text: string): void {
    const token = this.#peek();
    if (!this.#operator(text))
      throw new CelSyntaxError(`expected "${text}", not ${describe(token)}`, token.at);
  }

  #name(): string {
    const token = this.#peek();
    if (token.kind !== "name")
      throw new CelSyntaxError(`expected a name, not ${describe(token)}`, token.at);
    this.#next++;
    return token.text;
  }

  #expression(): Node {
    if (++this.#depth > MAX_DEPTH)
      throw new CelSyntaxError("the expression is nested too deeply", this.#peek().at);
    const test = this.#or();
    let node = test;
    if (this.#operator("?")) {
      const yes = this.#or();
      this.#expect(":");
      node = { kind: "choice", test, yes, no: this.#expression() };
    }
    this.#depth--;
    return node;
  }

  #or(): Node {
    let left = this.#and();
    while (this.#operator("||")) left = { kind: "or", left, right: this.#and() };
    return left;
  }

  #and(): Node {
    let left = this.#relation();
    while (this.#operator("&&")) left = { kind: "and", left, right: this.#relation() };
    return left;
  }

  #relation(): Node {
    return this.#leftAssociative(RELATIONS, () => this.#sum());
  }

  #sum(): Node {
    return this.#leftAssociative(new Set(["+", "-"]), () => this.#product());
  }

  #product(): Node {
    return this.#leftAssociative(new Set(["*", "/", "%"]), () => this.#unary());
  }

  #leftAssociative(operators: ReadonlySet<string>, operand: () => Node): Node {
    let left = operand();
    for (;;) {
      const operator = this.#operatorOf(operators);
      if (operator === undefined) return left;
      left = { kind: "binary", operator: operator as BinaryOperator, left, right: operand() };
    }
  }

  #unary(): Node {
    const negations = this.#count("!");
    if (negations > 0) {
      const operand = this.#member();
      const once: Node = { kind: "not", operand };
      return negations % 2 === 1 ? once : { kind: "not", operand: once };
    }
    const minuses = this.#count("-");
    const operand = this.#member();
    return minuses % 2 === 1 ? { kind: "negate", operand } : operand;
  }

  #count(operator: string): number {
    let count = 0;
    while (this.#operator(operator)) count++;
    return count;
  }

  #member(): Node {
    let node = this.#primary();
    for (;;) {
      const { at } = this.#peek();
      if (this.#operator(".")) {
        const name = this.#name();
        node = this.#operator("(")
          ? this.#memberCall(node, name, at)
          : { kind: "field", of: node, name };
      } else if (this.#operator("[")) {
        node = { kind: "index", of: node, key: this.#expression() };
        this.#expect("]");
      } else return node;
    }
  }

  #memberCall(of: Node, name: string, at: number): Node {
    const args = this.#list(")");
    if (!MACROS.has(name))
      return { kind: "call", name, arguments: [of, ...args], member: true, at };
    const macro = name as "all" | "exists" | "exists_one" | "filter" | "map";
    const [variable, second, third] = args;
    const count = macro === "map" && args.length === 3 ? 3 : 2;
    if (variable?.kind !== "name" || second === undefined || args.length !== count)
      throw new CelSyntaxError(`${name}() takes a variable and an expression`, at);
    return {
      kind: "each",
      macro,
      of,
      variable: variable.name,
      body: third ?? second,
      test: third === undefined ? undefined : second,
    };
  }

  #primary(): Node {
    const token = this.#peek();
    if (token.kind === "literal") {
      this.#next++;
      return { kind: "literal", value: token.value };
    }
    if (this.#operator("(")) {
      const inner = this.#expression();
      this.#expect(")");
      return inner;
    }
    if (this.#operator("[")) return { kind: "list", items: this.#list("]") };
    if (this.#operator("{")) return this.#map();
    // A leading dot asks for the root scope, where all our names are.
    this.#operator(".");
    const name = this.#name();
    if (this.#operator("(")) return this.#globalCall(name, token.at);
    const brace = this.#peek();
    if (brace.kind === "operator" && brace.text === "{")
      throw new CelSyntaxError("messages cannot be made here", brace.at);
    return { kind: "name", name, at: token.at };
  }

  #globalCall(name: string, at: number): Node {
    const args = this.#list(")");
    if (name !== "has") return { kind: "call", name, arguments: args, member: false, at };
    const [field] = args;
    if (args.length !== 1 || field?.kind !== "field")
      throw new CelSyntaxError("has() takes one field: has(a.b)", at);
    return { kind: "has", of: field.of, name: field.name };
  }

  /** Up to and with the closing sign; a comma before it is allowed where the language does, in lists. */
  #list(close: ")" | "]"): Node[] {
    const items: Node[] = [];
    while (!this.#operator(close)) {
      items.push(this.#expression());
      if (this.#operator(",")) continue;
      this.#expect(close);
      break;
    }
    return items;
  }

  #map(): Node {
    const entries: [Node, Node][] = [];
    while (!this.#operator("}")) {
      const key = this.#expression();
      this.#expect(":");
      entries.push([key, this.#expression()]);
      if (this.#operator(",")) continue;
      this.#expect("}");
      break;
    }
    return { kind: "map", entries };
  }
}

function describe(token: Token): string {
  switch (token.kind) {
    case "end":
      return "the end";
    case "literal":
      return "a literal";
    case "name":
    case "operator":
      return `"${token.text}"`;
  }
}

/** Throws CelSyntaxError. */
export function parseExpression(source: string): Node {
  if (source.length > MAX_LENGTH)
    throw new CelSyntaxError("the expression is too long", MAX_LENGTH);
  return new Parser(tokenize(source)).whole();
}
