/** Trees turned into functions, once; evaluating walks no tree and looks up no function. */
import type { StreamRecord } from "../record.ts";
import type { Node } from "./ast.ts";
import { attributeOf, rootValue } from "./attributes.ts";
import { function1, function2, matcher } from "./functions.ts";
import { CelSyntaxError } from "./lexer.ts";
import { apply, index, negate } from "./operators.ts";
import { CelMap, type CelValue, EntryMap } from "./value.ts";

/** One evaluation. */
export interface Scope {
  readonly record: StreamRecord;
  bindings: Binding | undefined;
  /** Turns of macros that are left. */
  turns: number;
}

interface Binding {
  readonly name: string;
  readonly value: CelValue;
  readonly outer: Binding | undefined;
}

export type Evaluate = (scope: Scope) => CelValue | undefined;

export const MAX_TURNS = 10_000;

/** What is known of names while compiling. */
export interface Names {
  /** By macros around this place. */
  readonly bound: readonly string[];
  /** Told of every name that no macro binds. */
  unbound(name: string): void;
}

function nameOf(name: string, names: Names): Evaluate {
  if (!names.bound.includes(name)) {
    names.unbound(name);
    return (scope) => rootValue(scope.record, name);
  }
  return (scope) => {
    for (let binding = scope.bindings; binding !== undefined; binding = binding.outer)
      if (binding.name === name) return binding.value;
    return undefined;
  };
}

/** Attributes that everybody uses are read without the group around them. */
function field(of: Node, name: string, names: Names): Evaluate {
  if (of.kind === "name" && !names.bound.includes(of.name)) {
    const attribute = attributeOf(of.name, name);
    if (attribute !== undefined) return (scope) => attribute(scope.record);
  }
  const evaluate = compileNode(of, names);
  return (scope) => index(evaluate(scope), name);
}

function has(of: Evaluate, name: string): Evaluate {
  return (scope) => {
    const value = of(scope);
    return value instanceof CelMap ? value.has(name) : undefined;
  };
}

/** An error on one side does not matter when the other decides. */
function logic(left: Evaluate, right: Evaluate, decides: boolean): Evaluate {
  return (scope) => {
    const a = left(scope);
    if (a === decides) return decides;
    const b = right(scope);
    if (b === decides) return decides;
    return typeof a === "boolean" && typeof b === "boolean" ? !decides : undefined;
  };
}

function choice(test: Evaluate, yes: Evaluate, no: Evaluate): Evaluate {
  return (scope) => {
    const value = test(scope);
    if (typeof value !== "boolean") return undefined;
    return value ? yes(scope) : no(scope);
  };
}

function list(items: readonly Evaluate[]): Evaluate {
  return (scope) => {
    const values: CelValue[] = [];
    for (const item of items) {
      const value = item(scope);
      if (value === undefined) return undefined;
      values.push(value);
    }
    return values;
  };
}

function map(entries: readonly (readonly [Evaluate, Evaluate])[]): Evaluate {
  return (scope) => {
    const made = new Map<CelValue, CelValue>();
    for (const [left, right] of entries) {
      const key = left(scope);
      const value = right(scope);
      if (value === undefined || !isKey(key) || made.has(key)) return undefined;
      made.set(key, value);
    }
    return new EntryMap(made);
  };
}

function isKey(key: CelValue | undefined): key is string | bigint | boolean {
  return typeof key === "string" || typeof key === "bigint" || typeof key === "boolean";
}

function call(node: Node & { readonly kind: "call" }, names: Names): Evaluate {
  const { name, arguments: args, member, at } = node;
  const [first, second] = args;
  if (first !== undefined && args.length === 1) {
    const one = function1(name, member);
    if (one !== undefined) return unary(one, compileNode(first, names));
  }
  if (first !== undefined && second !== undefined && args.length === 2) {
    const two = function2(name, member);
    if (name === "matches" && second.kind === "literal" && typeof second.value === "string")
      return unary(regexOf(second.value, at), compileNode(first, names));
    if (two !== undefined)
      return binary(two, compileNode(first, names), compileNode(second, names));
  }
  throw new CelSyntaxError(`there is no function ${name}() for ${args.length} arguments`, at);
}

function regexOf(pattern: string, at: number): (text: CelValue) => CelValue | undefined {
  let failure: unknown;
  try {
    return matcher(pattern);
  } catch (thrown) {
    failure = thrown;
  }
  const reason = failure instanceof Error ? failure.message : String(failure);
  throw new CelSyntaxError(`bad regular expression: ${reason}`, at, { cause: failure });
}

function unary(of: (value: CelValue) => CelValue | undefined, argument: Evaluate): Evaluate {
  return (scope) => {
    const value = argument(scope);
    return value === undefined ? undefined : of(value);
  };
}

function binary(
  of: (a: CelValue, b: CelValue) => CelValue | undefined,
  left: Evaluate,
  right: Evaluate,
): Evaluate {
  return (scope) => {
    const a = left(scope);
    const b = right(scope);
    return a === undefined || b === undefined ? undefined : of(a, b);
  };
}

type Each = Node & { readonly kind: "each" };

/** The values that the macro's body sees. */
function itemsOf(value: CelValue | undefined): readonly CelValue[] | undefined {
  if (value instanceof CelMap) return value.keys();
  return Array.isArray(value) ? (value as readonly CelValue[]) : undefined;
}

function each(node: Each, names: Names): Evaluate {
  const of = compileNode(node.of, names);
  const inner: Names = { ...names, bound: [...names.bound, node.variable] };
  const body = compileNode(node.body, inner);
  const test = node.test && compileNode(node.test, inner);
  const finish = { all, exists, exists_one: existsOne, filter, map: mapped }[node.macro];
  return (scope) => {
    const items = itemsOf(of(scope));
    if (items === undefined) return undefined;
    const outer = scope.bindings;
    const bound =
      (evaluate: Evaluate) =>
      (value: CelValue): CelValue | undefined => {
        if (scope.turns-- <= 0) return undefined;
        scope.bindings = { name: node.variable, value, outer };
        const result = evaluate(scope);
        scope.bindings = outer;
        return result;
      };
    return finish(items, bound(body), test && bound(test));
  };
}

type PerItem = (value: CelValue) => CelValue | undefined;

function all(items: readonly CelValue[], body: PerItem): CelValue | undefined {
  let result: CelValue | undefined = true;
  for (const item of items) {
    const value = body(item);
    if (value === false) return false;
    if (value !== true) result = undefined;
  }
  return result;
}

function exists(items: readonly CelValue[], body: PerItem): CelValue | undefined {
  let result: CelValue | undefined = false;
  for (const item of items) {
    const value = body(item);
    if (value === true) return true;
    if (value !== false) result = undefined;
  }
  return result;
}

function existsOne(items: readonly CelValue[], body: PerItem): CelValue | undefined {
  const chosen = filter(items, body);
  return Array.isArray(chosen) ? chosen.length === 1 : undefined;
}

function filter(items: readonly CelValue[], body: PerItem): CelValue | undefined {
  const chosen: CelValue[] = [];
  for (const item of items) {
    const value = body(item);
    if (typeof value !== "boolean") return undefined;
    if (value) chosen.push(item);
  }
  return chosen;
}

function mapped(items: readonly CelValue[], body: PerItem, test?: PerItem): CelValue | undefined {
  const chosen = test === undefined ? items : filter(items, test);
  if (!Array.isArray(chosen)) return undefined;
  const made: CelValue[] = [];
  for (const item of chosen as readonly CelValue[]) {
    const value = body(item);
    if (value === undefined) return undefined;
    made.push(value);
  }
  return made;
}

/** Throws CelSyntaxError for functions that do not exist. */
export function compileNode(node: Node, names: Names): Evaluate {
  switch (node.kind) {
    case "literal": {
      const { value } = node;
      return () => value;
    }
    case "name":
      return nameOf(node.name, names);
    case "field":
      return field(node.of, node.name, names);
    case "index": {
      const of = compileNode(node.of, names);
      const key = compileNode(node.key, names);
      return (scope) => index(of(scope), key(scope));
    }
    case "has":
      return has(compileNode(node.of, names), node.name);
    case "not":
      return unary(
        (value) => (typeof value === "boolean" ? !value : undefined),
        compileNode(node.operand, names),
      );
    case "negate":
      return unary(negate, compileNode(node.operand, names));
    case "and":
      return logic(compileNode(node.left, names), compileNode(node.right, names), false);
    case "or":
      return logic(compileNode(node.left, names), compileNode(node.right, names), true);
    case "binary": {
      const left = compileNode(node.left, names);
      const right = compileNode(node.right, names);
      const { operator } = node;
      return (scope) => apply(operator, left(scope), right(scope));
    }
    case "choice":
      return choice(
        compileNode(node.test, names),
        compileNode(node.yes, names),
        compileNode(node.no, names),
      );
    case "list":
      return list(node.items.map((item) => compileNode(item, names)));
    case "map":
      return map(
        node.entries.map(([key, value]) => [compileNode(key, names), compileNode(value, names)]),
      );
    case "call":
      return call(node, names);
    case "each":
      return each(node, names);
  }
}
