/** Header mutations of a filter as plain data, one step after the other. */
import type { HeaderMutations } from "../../model/route.ts";

export interface HeaderMutationPlan {
  readonly request: readonly HeaderMutations[];
  readonly response: readonly HeaderMutations[];
}
