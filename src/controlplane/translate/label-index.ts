/**
 * Finds the selectors that match a set of labels without trying them all: each selector is filed under one of its
 * `key=value` pairs, so a set of labels only meets selectors with which it shares one.
 */
import type { Labels } from "../../shared/model/enrollment.ts";

export class LabelIndex<T> {
  readonly #byPair = new Map<string, { readonly selector: Labels; readonly item: T }[]>();

  /** Items with an empty selector match nothing, as in Kubernetes services. */
  add(selector: Labels, item: T): void {
    for (const key in selector) {
      const pair = `${key}=${selector[key]}`;
      const filed = this.#byPair.get(pair);
      if (filed === undefined) this.#byPair.set(pair, [{ selector, item }]);
      else filed.push({ selector, item });
      return;
    }
  }

  matching(labels: Labels): T[] {
    const found: T[] = [];
    if (this.#byPair.size === 0) return found;
    for (const key in labels) {
      for (const { selector, item } of this.#byPair.get(`${key}=${labels[key]}`) ?? []) {
        if (isSubset(selector, labels)) found.push(item);
      }
    }
    return found;
  }
}

/** Whether every pair of `selector` stands in `labels`. */
export function isSubset(selector: Labels, labels: Labels): boolean {
  for (const key in selector) {
    if (!Object.hasOwn(labels, key) || labels[key] !== selector[key]) return false;
  }
  return true;
}
