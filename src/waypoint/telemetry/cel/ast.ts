/** Expressions as trees. */
import type { CelValue } from "./value.ts";

export type Node =
  | { readonly kind: "literal"; readonly value: CelValue }
  | { readonly kind: "name"; readonly name: string; readonly at: number }
  | { readonly kind: "field"; readonly of: Node; readonly name: string }
  | { readonly kind: "index"; readonly of: Node; readonly key: Node }
  /** has(a.b) */
  | { readonly kind: "has"; readonly of: Node; readonly name: string }
  | { readonly kind: "not"; readonly operand: Node }
  | { readonly kind: "negate"; readonly operand: Node }
  | { readonly kind: "and" | "or"; readonly left: Node; readonly right: Node }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Node;
      readonly right: Node;
    }
  | { readonly kind: "choice"; readonly test: Node; readonly yes: Node; readonly no: Node }
  | { readonly kind: "list"; readonly items: readonly Node[] }
  | { readonly kind: "map"; readonly entries: readonly (readonly [Node, Node])[] }
  | {
      readonly kind: "call";
      readonly name: string;
      /** The receiver comes first. */
      readonly arguments: readonly Node[];
      readonly member: boolean;
      readonly at: number;
    }
  | {
      readonly kind: "each";
      readonly macro: "all" | "exists" | "exists_one" | "filter" | "map";
      readonly of: Node;
      readonly variable: string;
      readonly body: Node;
      /** Of map with three arguments. */
      readonly test: Node | undefined;
    };

export const binaryOperators = [
  "==",
  "!=",
  "<",
  "<=",
  ">",
  ">=",
  "in",
  "+",
  "-",
  "*",
  "/",
  "%",
] as const;

export type BinaryOperator = (typeof binaryOperators)[number];
