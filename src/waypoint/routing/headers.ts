/** Header mutations of routes: of each level first what is removed, then what is set, evaluated on the headers as they were. */
import type { Fields } from "../http/message.ts";
import type { HeaderMutation, HeaderMutations } from "../model/route.ts";
import { type FormatFacts, formatHeader } from "./format.ts";

export const noMutations: HeaderMutations = { set: [], remove: [] };

/** `fields` are the request's or the answer's. */
export function mutateHeaders(
  mutations: HeaderMutations,
  fields: Fields,
  facts: FormatFacts,
): void {
  let level: HeaderMutations | undefined = mutations;
  while (level !== undefined) {
    mutateLevel(level, fields, facts);
    level = level.next;
  }
}

function mutateLevel({ set, remove }: HeaderMutations, fields: Fields, facts: FormatFacts): void {
  for (const name of remove) fields.remove(name);
  const [first, second] = set;
  if (first === undefined) return;
  if (second === undefined) {
    const value = formatHeader(first.value, facts);
    if (applies(first, value, fields)) put(first, value, fields);
    return;
  }
  // All values are computed before any is put, so that one may name what another replaces; overwriting comes first.
  const values = set.map((one) => formatHeader(one.value, facts));
  const wanted = set.map((one, index) => applies(one, values[index] ?? "", fields));
  for (const overwriting of [true, false])
    for (const [index, one] of set.entries())
      if (wanted[index] && overwrites(one) === overwriting) put(one, values[index] ?? "", fields);
}

function applies({ name, mode, keepEmptyValue }: HeaderMutation, value: string, fields: Fields) {
  if (value === "" && !keepEmptyValue) return false;
  if (mode === "add-if-absent") return !fields.has(name);
  return mode !== "overwrite-if-exists" || fields.has(name);
}

function overwrites({ mode }: HeaderMutation): boolean {
  return mode === "overwrite-or-add" || mode === "overwrite-if-exists";
}

function put(mutation: HeaderMutation, value: string, fields: Fields): void {
  if (overwrites(mutation)) fields.set(mutation.name, value);
  else fields.append(mutation.name, value);
}
