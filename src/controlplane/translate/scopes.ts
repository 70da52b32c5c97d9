/**
 * One token for each namespace, standing for everything that a namespace sees of some kind: the same token in the next pass
 * says that nothing there changed, so that a change in one namespace leaves the work done for the others in place.
 */
import { sameIngredients } from "./memo.ts";

/** Compared by reference only. */
export interface Scope {
  readonly ingredients: readonly unknown[];
}

const nothing: Scope = { ingredients: [] };

export class Scopes {
  readonly #byNamespace = new Map<string, Scope>();

  constructor(seen: ReadonlyMap<string, readonly unknown[]>, previous: Scopes | undefined) {
    for (const [namespace, ingredients] of seen) {
      const before = previous?.of(namespace);
      const same = before !== undefined && sameIngredients(before.ingredients, ingredients);
      this.#byNamespace.set(namespace, same ? before : { ingredients });
    }
  }

  of(namespace: string): Scope {
    return this.#byNamespace.get(namespace) ?? nothing;
  }
}

/** Adds to a list by key. */
export function file<K, T>(lists: Map<K, T[]>, key: K, item: T): void {
  const known = lists.get(key);
  if (known === undefined) lists.set(key, [item]);
  else known.push(item);
}
