/** Values of expressions. Integers are bigints, so that int and double stay apart as the language wants it. */

export type CelValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | readonly CelValue[]
  | CelMap
  | CelTime;

export interface CelMap {
  readonly kind: "map";
  get(key: CelValue): CelValue | undefined;
  entries(): Iterable<readonly [CelValue, CelValue]>;
}

export type CelTime =
  | { readonly kind: "timestamp"; readonly wallMs: number }
  | { readonly kind: "duration"; readonly ms: number };
