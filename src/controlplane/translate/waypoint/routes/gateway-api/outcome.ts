/** What becomes of a route of the Gateway API. */

/** A fault of the rules. Those about one backend leave the others alone; all else makes the whole route void. */
export interface RouteFault {
  readonly reason:
    | "InvalidDestination"
    | "InvalidFilter"
    | "UnsupportedValue"
    | "InvalidKind"
    | "BackendNotFound";
  readonly message: string;
}

export interface Converted<T> {
  /** None for a route that is void. */
  readonly rules: readonly T[];
  readonly fault: RouteFault | undefined;
}

/** A rule and what is wrong with it; without a rule the fault is fatal. */
export interface ConvertedRule<T> {
  readonly rule: T | undefined;
  readonly fault: RouteFault | undefined;
}

/** One rule that cannot be meant as it stands makes the route void: half of a route is another route. */
export function collect<T>(converted: Iterable<ConvertedRule<T>>): Converted<T> {
  const rules: T[] = [];
  let fault: RouteFault | undefined;
  for (const one of converted) {
    if (one.rule === undefined) return { rules: [], fault: one.fault };
    fault = one.fault ?? fault;
    rules.push(one.rule);
  }
  return { rules, fault };
}
