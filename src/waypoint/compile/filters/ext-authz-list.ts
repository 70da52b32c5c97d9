/** Lists of header names, as string matchers. */
import type { ListStringMatcher } from "../../../shared/wire/gen/envoy/type/matcher/v3/string_pb.js";
import type { StringMatcher } from "../../model/matchers.ts";
import { compileStringMatcher } from "../matchers.ts";
import { item, type Notes, type Path } from "../notes.ts";

export function compileList(
  message: ListStringMatcher | undefined,
  path: Path,
  notes: Notes,
): readonly StringMatcher[] {
  return (message?.patterns ?? []).map((matcher, index) =>
    compileStringMatcher(matcher, item(path, "patterns", index), notes),
  );
}
