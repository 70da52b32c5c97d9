/** What a server's "yes" changes in the request and in its answer. */
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { type HeaderPair, isChangeable, isInvalid, type RequestChanges } from "./answer.ts";

/** The first thing in an answer that must not go into a message; undefined: nothing. */
export function firstInvalid(changes: RequestChanges): HeaderPair | undefined {
  const { set, addIfAbsent, overwriteIfPresent, add, append, responseAdd, responseSet } = changes;
  return [
    ...set,
    ...addIfAbsent,
    ...overwriteIfPresent,
    ...add,
    ...append,
    ...responseAdd,
    ...responseSet,
  ].find(isInvalid);
}

/** Whether the request changed, so that another route may be the right one. */
export function applyToRequest(changes: RequestChanges, head: RequestHead): boolean {
  const { set, remove } = changes;
  for (const [name, value] of set) setHeader(head, name, value);
  const conditional = applyConditional(changes, head);
  for (const name of remove) if (isChangeable(name)) head.fields.remove(name);
  const path = pathWith(head.path, changes);
  const pathChanged = path !== head.path;
  head.path = path;
  return pathChanged || conditional || set.length + remove.length > 0;
}

/** What depends on what the request has. */
function applyConditional(changes: RequestChanges, { fields }: RequestHead): boolean {
  const { addIfAbsent, overwriteIfPresent, add, append } = changes;
  for (const [name, value] of addIfAbsent)
    if (isChangeable(name) && !fields.has(name)) fields.append(name, value);
  for (const [name, value] of overwriteIfPresent)
    if (isChangeable(name) && fields.has(name)) fields.set(name, value);
  for (const [name, value] of add) if (isChangeable(name)) fields.append(name, value);
  for (const [name, value] of append) {
    const known = fields.joined(name);
    if (isChangeable(name) && known !== undefined) fields.set(name, `${known},${value}`);
  }
  return addIfAbsent.length + overwriteIfPresent.length + add.length + append.length > 0;
}

/** A server may choose another path or host for the request, as the reference lets it. */
function setHeader(head: RequestHead, name: string, value: string): void {
  if (name === ":path" && value.startsWith("/")) head.path = value;
  else if (name === ":authority" || name === "host") head.authority = value;
  else if (isChangeable(name)) head.fields.set(name, value);
}

function pathWith(path: string, { querySet, queryRemove }: RequestChanges): string {
  if (querySet.length + queryRemove.length === 0) return path;
  const question = path.indexOf("?");
  const base = question < 0 ? path : path.slice(0, question);
  const pairs =
    question < 0
      ? []
      : path
          .slice(question + 1)
          .split("&")
          .filter((each) => each !== "");
  const gone = new Set([...queryRemove, ...querySet.map(([key]) => key)]);
  const kept = pairs.filter((each) => !gone.has(each.split("=", 1)[0] ?? ""));
  const set = querySet
    .filter(([key]) => !queryRemove.includes(key))
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  const query = [...kept, ...set].join("&");
  return query === "" ? base : `${base}?${query}`;
}

export function applyToResponse(changes: RequestChanges, { fields }: ResponseHead): void {
  for (const [name, value] of changes.responseAdd)
    if (isChangeable(name)) fields.append(name, value);
  for (const [name, value] of changes.responseSet) if (isChangeable(name)) fields.set(name, value);
}
