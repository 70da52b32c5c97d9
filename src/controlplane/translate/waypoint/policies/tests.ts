/** One field of a rule: values of which one must hold, and values of which none may. */

/** How parts become one in the two languages of the filter: of permissions, and of principals. */
export interface Logic<T> {
  readonly and: (parts: T[]) => T;
  readonly or: (parts: T[]) => T;
  readonly not: (part: T) => T;
  readonly any: T;
}

export interface FieldTest<T> {
  readonly values: readonly string[];
  readonly notValues: readonly string[];
  readonly check: Check<T>;
}

/** Undefined where the protocol or the value has no such check. */
export type Check<T> =
  | { readonly kind: "each"; readonly make: (value: string) => T | undefined }
  | { readonly kind: "together"; readonly make: (values: readonly string[]) => T | undefined };

export function each<T>(make: (value: string) => T | undefined): Check<T> {
  return { kind: "each", make };
}

export function together<T>(make: (values: readonly string[]) => T | undefined): Check<T> {
  return { kind: "together", make };
}

/**
 * A check that cannot be made must never let more through: a rule that allows is dropped whole (undefined),
 * one that denies goes without the check and so denies more.
 */
export function allOf<T>(
  tests: readonly FieldTest<T>[],
  logic: Logic<T>,
  allows: boolean,
): T | undefined {
  const parts: T[] = [];
  for (const { values, notValues, check } of tests) {
    const wanted = made(values, check, logic, allows);
    const unwanted = made(notValues, check, logic, allows);
    if (wanted === "impossible" || unwanted === "impossible") return undefined;
    if (wanted !== undefined) parts.push(wanted);
    if (unwanted !== undefined) parts.push(logic.not(unwanted));
  }
  return logic.and(parts.length === 0 ? [logic.any] : parts);
}

function made<T>(
  values: readonly string[],
  check: Check<T>,
  logic: Logic<T>,
  allows: boolean,
): T | "impossible" | undefined {
  if (values.length === 0) return undefined;
  if (check.kind === "together") return check.make(values) ?? (allows ? "impossible" : undefined);
  const parts: T[] = [];
  for (const value of values) {
    const part = check.make(value);
    if (part !== undefined) parts.push(part);
    else if (allows) return "impossible";
  }
  return parts.length === 0 ? undefined : logic.or(parts);
}
