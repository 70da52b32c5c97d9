/**
 * Path normalization, in Envoy's order: fragments are refused, escaped slashes handled, then dot segments, backslashes and
 * needless escapes resolved (RFC 3986 section 6.2.2 as Envoy's URL library does it), then slashes merged. Pure.
 */
import type { HttpSettings } from "../model/chain.ts";

export type NormalizedPath =
  | { readonly kind: "unchanged" }
  | { readonly kind: "changed"; readonly path: string }
  /** 307 to this path. */
  | { readonly kind: "redirect"; readonly path: string }
  /** 400. */
  | { readonly kind: "reject"; readonly reason: string };

type PathSettings = Pick<HttpSettings, "normalizePath" | "mergeSlashes" | "escapedSlashes">;

const unchanged: NormalizedPath = { kind: "unchanged" };

/** `path` with its query; only what is before it changes. */
export function normalizePath(path: string, settings: PathSettings): NormalizedPath {
  if (path === "" || path === "*") return unchanged;
  if (path.includes("#")) return { kind: "reject", reason: "a path must not have a fragment" };
  const query = path.indexOf("?");
  const before = query === -1 ? path : path.slice(0, query);
  const unescaped = settings.escapedSlashes === "keep" ? before : unescapeSlashes(before);
  if (unescaped !== before && settings.escapedSlashes === "reject")
    return { kind: "reject", reason: "the path has an escaped slash" };
  const canonical = settings.normalizePath ? canonicalPath(unescaped) : unescaped;
  if (canonical === undefined) return { kind: "reject", reason: "the path has an escaped NUL" };
  const merged = settings.mergeSlashes ? mergeSlashes(canonical) : canonical;
  if (merged === before) return unchanged;
  const kind =
    unescaped !== before && settings.escapedSlashes === "unescape-redirect"
      ? "redirect"
      : "changed";
  return { kind, path: query === -1 ? merged : merged + path.slice(query) };
}

function unescapeSlashes(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(/%2f/gi, "/").replace(/%5c/gi, "\\");
}

/** Nothing but slashes stays two of them: Envoy counts the first and the last apart. */
function mergeSlashes(path: string): string {
  if (!path.includes("//")) return path;
  return /^\/+$/.test(path) ? "//" : path.replace(/\/{2,}/g, "/");
}

/** Whatever the slow way could change: escapes, backslashes, segments that begin with a dot, characters to be escaped. */
const suspicious = /[\\%"<>^`{|}]|[^!-~]|\/\./;

/** Undefined: cannot be normalized. */
function canonicalPath(path: string): string | undefined {
  if (!suspicious.test(path)) return path;
  if (path.includes("%00")) return undefined;
  const out: string[] = [];
  const segments = withoutDotParameters(path).slice(1).split(/[/\\]/);
  const last = segments.length - 1;
  for (const [index, raw] of segments.entries()) {
    const segment = canonicalSegment(raw);
    if (!isDots(raw, segment)) {
      out.push(segment);
      continue;
    }
    if (segment === "..") out.pop();
    // A trailing dot segment leaves its slash.
    if (index === last) out.push("");
  }
  return `/${out.join("/")}`;
}

/** `.` or `..`, written with escapes or not. */
function isDots(raw: string, segment: string): boolean {
  return (segment === "." || segment === "..") && raw.length <= 6;
}

/** `/..;a/` is `/../`: else a server that knows path parameters would see a step up that we did not. */
function withoutDotParameters(path: string): string {
  return path.includes(";") ? path.replace(/\/(\.\.?);[^/]*/g, "/$1") : path;
}

const unreserved = /^[a-zA-Z0-9._~-]$/;
const percent = /%(?:[0-9a-f]{2})?/gi;
/** Stands for a percent sign that begins no escape, until the end of the segment is known. */
const STRAY = "\u0100";
const strayBeforeHex = /\u0100(?=[0-9a-f]{2})/gi;
const needed = /["<>^`{|}]|[^!-~]/g;

/** Escapes that stand for unreserved characters are undone, characters that have no place in a path are escaped. */
function canonicalSegment(segment: string): string {
  if (!segment.includes("%")) return segment.replace(needed, escaped);
  const decoded = segment.replace(needed, escaped).replace(percent, decodedIfUnreserved);
  // A stray percent sign must not become an escape through what was decoded behind it.
  return decoded.replace(strayBeforeHex, "%25").replaceAll(STRAY, "%");
}

function decodedIfUnreserved(found: string): string {
  if (found === "%") return STRAY;
  const character = String.fromCharCode(Number.parseInt(found.slice(1), 16));
  return unreserved.test(character) ? character : found;
}

/** One octet per character, as paths are read from the wire. */
function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
