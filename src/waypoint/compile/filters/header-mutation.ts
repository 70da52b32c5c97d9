/** header_mutation: on a waypoint the one that writes the client's identity into X-Forwarded-Client-Cert. */
import {
  type HeaderMutation,
  HeaderMutationSchema as StepSchema,
} from "../../../shared/wire/gen/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js";
import {
  HeaderMutationSchema,
  MutationsSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import type { HttpFilter } from "../../filters/filter.ts";
import { HeaderMutationFilter } from "../../filters/header-mutation/filter.ts";
import type { HeaderMutationPlan } from "../../filters/header-mutation/plan.ts";
import type { HeaderMutations } from "../../model/route.ts";
import { compileMutation, compileMutations } from "../headers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";
import { readConfig, type TypedConfig } from "./typed-config.ts";

export function compileHeaderMutation(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
): HttpFilter {
  const message = readConfig(config, HeaderMutationSchema, path);
  checkFields(message, HeaderMutationSchema, path, notes, {
    used: ["mutations"],
    // Of several settings on routes, which are refused.
    decorative: ["most_specific_header_mutations_wins"],
  });
  const where = at(path, "mutations");
  const { mutations } = message;
  if (mutations !== undefined)
    checkFields(mutations, MutationsSchema, where, notes, {
      used: ["request_mutations", "response_mutations"],
    });
  const plan: HeaderMutationPlan = {
    request: steps(mutations?.requestMutations ?? [], "request", where, notes),
    response: steps(mutations?.responseMutations ?? [], "response", where, notes),
  };
  return new HeaderMutationFilter(name, plan);
}

/** One set of mutations for each step: their order counts. */
function steps(
  messages: readonly HeaderMutation[],
  direction: "request" | "response",
  path: Path,
  notes: Notes,
): readonly HeaderMutations[] {
  return messages.map((message, index) => {
    const where = item(path, `${direction}_mutations`, index);
    checkFields(message, StepSchema, where, notes, { used: ["remove", "append"] });
    switch (message.action.case) {
      case "remove":
        return compileMutations(direction, [], [message.action.value], where, notes);
      case "append":
        return {
          set: [compileMutation(message.action.value, at(where, "append"), notes)],
          remove: [],
        };
      default:
        throw new CompileError(where, "says neither remove nor append");
    }
  });
}
