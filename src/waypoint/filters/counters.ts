/**
 * Envoy's counters of what filters decided, under its names (`http.inbound_0.0.0.0_80;.rbac.denied`). A configuration names them
 * when it is compiled; they outlive it, so that an update sets nothing back.
 */

export interface DecisionCounter {
  count: number;
}

export interface CounterSource {
  counter(name: string): DecisionCounter;
  /** The same counters, under names that begin with this and a dot. */
  below(prefix: string): CounterSource;
}

export class DecisionCounters implements CounterSource {
  readonly #counters = new Map<string, DecisionCounter>();

  counter(name: string): DecisionCounter {
    const known = this.#counters.get(name);
    if (known !== undefined) return known;
    const made = { count: 0 };
    this.#counters.set(name, made);
    return made;
  }

  below(prefix: string): CounterSource {
    const inner = (name: string): string => `${prefix}.${name}`;
    return {
      counter: (name) => this.counter(inner(name)),
      below: (next) => this.below(inner(next)),
    };
  }

  /** As of now. */
  get values(): readonly (readonly [name: string, value: number])[] {
    return [...this.#counters].map(([name, { count }]) => [name, count]);
  }
}
