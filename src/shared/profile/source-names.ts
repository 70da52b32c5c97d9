/**
 * The bundle's functions have short names; its source maps know the long ones. Where there is no map (an image leaves them
 * out), the bundle's own names stay.
 */
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import type { Frame } from "./pprof.ts";
import { type FindSource, frameOf } from "./v8.ts";

function readMap(url: string): SourceMap | undefined {
  if (!url.startsWith("file:")) return undefined;
  try {
    return new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, "utf8")));
  } catch {
    return undefined;
  }
}

/** `../../src/x.ts`, as the map has it, is `src/x.ts` of the program. */
function withoutParents(path: string): string {
  return posix.normalize(path).replace(/^(?:\.\.\/)+/, "");
}

/** For one profile: each map is read once, and forgotten with the function. */
export function sourceNames(): FindSource {
  const maps = new Map<string, SourceMap | undefined>();
  return (frame): Frame => {
    const own = frameOf(frame);
    const { url, lineNumber, columnNumber } = frame;
    if (!maps.has(url)) maps.set(url, readMap(url));
    const entry = maps.get(url)?.findEntry(lineNumber, columnNumber);
    if (entry === undefined || !("originalSource" in entry)) return own;
    return {
      name: "name" in entry && typeof entry.name === "string" ? entry.name : own.name,
      file: withoutParents(entry.originalSource),
      line: entry.originalLine + 1,
    };
  };
}
