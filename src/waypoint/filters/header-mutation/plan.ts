/** Header mutations of a filter or route as plain data, in the order of the configuration. */
import type { HeaderMutation } from "../../model/route.ts";

export type MutationStep =
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "put"; readonly mutation: HeaderMutation };

export interface HeaderMutationPlan {
  readonly request: readonly MutationStep[];
  readonly response: readonly MutationStep[];
}
