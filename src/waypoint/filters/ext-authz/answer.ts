/** What an authorization server said, whichever protocol it speaks. */
import type { MetadataValue } from "../filter.ts";

export type AuthzAnswer =
  | { readonly kind: "ok"; readonly changes: RequestChanges }
  | {
      readonly kind: "denied";
      readonly status: number;
      readonly body: string;
      readonly headers: readonly HeaderPair[];
      readonly metadata: MetadataStruct | undefined;
    }
  /** No answer, or none that means anything. */
  | { readonly kind: "error"; readonly reason: string };

export type HeaderPair = readonly [name: string, value: string];
export type MetadataStruct = { readonly [key: string]: MetadataValue };

export interface RequestChanges {
  /** Replaces what the request has. */
  readonly set: readonly HeaderPair[];
  readonly addIfAbsent: readonly HeaderPair[];
  readonly overwriteIfPresent: readonly HeaderPair[];
  /** A field of its own beside what the request has. */
  readonly add: readonly HeaderPair[];
  /** Joined to what the request has; nothing is added that was not there. */
  readonly append: readonly HeaderPair[];
  readonly remove: readonly string[];
  readonly querySet: readonly (readonly [key: string, value: string])[];
  readonly queryRemove: readonly string[];
  readonly responseAdd: readonly HeaderPair[];
  readonly responseSet: readonly HeaderPair[];
  readonly metadata: MetadataStruct | undefined;
}

export const noChanges: RequestChanges = {
  set: [],
  addIfAbsent: [],
  overwriteIfPresent: [],
  add: [],
  append: [],
  remove: [],
  querySet: [],
  queryRemove: [],
  responseAdd: [],
  responseSet: [],
  metadata: undefined,
};

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Fields that frame messages or belong to one connection. */
const framing: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "transfer-encoding",
  "keep-alive",
  "upgrade",
  "te",
  "trailer",
  "proxy-connection",
]);

/** A server that says this could split a message in two. */
export function isInvalid([name, value]: HeaderPair): boolean {
  return (!NAME.test(name) && !name.startsWith(":")) || /[\0\r\n]/.test(value);
}

/** Pseudo-headers, Host and framing are not the server's to change. */
export function isChangeable(name: string): boolean {
  return !name.startsWith(":") && name !== "host" && !framing.has(name);
}
