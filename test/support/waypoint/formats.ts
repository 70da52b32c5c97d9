import type { HeaderFormat } from "../../../src/waypoint/model/route.ts";

/** A header value without operators. */
export function compileFormatForTest(text: string): HeaderFormat {
  return { source: text, parts: [text] };
}
