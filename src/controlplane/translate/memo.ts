/**
 * Remembers results by key together with what they were made of. A result is used again when every ingredient is the same
 * reference (lists: the same references in the same order), so that one changed object among thousands costs one
 * computation. Whether a result is remembered or computed anew never shows in its content.
 */

type Ingredient = unknown;

interface Entry<V> {
  readonly ingredients: readonly Ingredient[];
  readonly value: V;
}

export class Memo<K, V> {
  #previous: Map<K, Entry<V>> = new Map();
  #current: Map<K, Entry<V>> = new Map();

  get(key: K, ingredients: readonly Ingredient[], compute: () => V): V {
    const known = this.#current.get(key) ?? this.#previous.get(key);
    const entry =
      known !== undefined && sameIngredients(known.ingredients, ingredients)
        ? known
        : { ingredients, value: compute() };
    this.#current.set(key, entry);
    return entry.value;
  }

  /** As `get`, but a list is the same only when it is the same reference. */
  getByReference(key: K, ingredients: readonly Ingredient[], compute: () => V): V {
    const known = this.#current.get(key) ?? this.#previous.get(key);
    const same =
      known?.ingredients.length === ingredients.length &&
      known.ingredients.every((ingredient, index) => ingredient === ingredients[index]);
    const entry = known !== undefined && same ? known : { ingredients, value: compute() };
    this.#current.set(key, entry);
    return entry.value;
  }

  /** Forgets what the pass that ends here did not ask for. */
  endPass(): void {
    this.#previous = this.#current;
    this.#current = new Map();
  }
}

/** Lists inside are compared item by item. */
export function sameIngredients(a: readonly Ingredient[], b: readonly Ingredient[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const left = a[i];
    const right = b[i];
    if (left === right) continue;
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    for (let j = 0; j < left.length; j++) {
      if (left[j] !== right[j]) return false;
    }
  }
  return true;
}
