/** Requirements of jwt_authn: a tree over providers. */
import {
  JwtRequirementAndListSchema,
  type JwtRequirement as JwtRequirementMessage,
  JwtRequirementOrListSchema,
  JwtRequirementSchema,
  ProviderWithAudiencesSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { bareAudience } from "../../filters/jwt/check.ts";
import type { JwtProvider, JwtRequirement } from "../../filters/jwt/config.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";

export function compileRequirement(
  message: JwtRequirementMessage,
  path: Path,
  notes: Notes,
  providers: ReadonlyMap<string, JwtProvider>,
): JwtRequirement {
  checkFields(message, JwtRequirementSchema, path, notes, {
    used: [
      "provider_name",
      "provider_and_audiences",
      "requires_any",
      "requires_all",
      "allow_missing",
      "allow_missing_or_failed",
    ],
  });
  const { requiresType } = message;
  switch (requiresType.case) {
    case "providerName":
      return named(requiresType.value, undefined, at(path, "provider_name"), providers);
    case "providerAndAudiences": {
      const where = at(path, "provider_and_audiences");
      const { providerName, audiences } = requiresType.value;
      checkFields(requiresType.value, ProviderWithAudiencesSchema, where, notes, {
        used: ["provider_name", "audiences"],
      });
      return named(
        providerName,
        audiences.map(bareAudience),
        at(where, "provider_name"),
        providers,
      );
    }
    case "requiresAny": {
      const where = at(path, "requires_any");
      checkFields(requiresType.value, JwtRequirementOrListSchema, where, notes, list);
      return {
        kind: "any",
        of: several(requiresType.value.requirements, where, notes, providers),
      };
    }
    case "requiresAll": {
      const where = at(path, "requires_all");
      checkFields(requiresType.value, JwtRequirementAndListSchema, where, notes, list);
      return {
        kind: "all",
        of: several(requiresType.value.requirements, where, notes, providers),
      };
    }
    case "allowMissing":
      return { kind: "allow-missing" };
    case "allowMissingOrFailed":
      return { kind: "allow-missing-or-failed" };
    default:
      throw new CompileError(path, "requires nothing that is known");
  }
}

const list = { used: ["requirements"] };

function named(
  provider: string,
  audiences: readonly string[] | undefined,
  path: Path,
  providers: ReadonlyMap<string, JwtProvider>,
): JwtRequirement {
  if (!providers.has(provider)) throw new CompileError(path, `no provider ${provider} is defined`);
  return { kind: "provider", provider, audiences };
}

function several(
  messages: readonly JwtRequirementMessage[],
  path: Path,
  notes: Notes,
  providers: ReadonlyMap<string, JwtProvider>,
): readonly JwtRequirement[] {
  // The reference's validation; fewer would be a requirement that says something else than it seems to.
  if (messages.length < 2) throw new CompileError(at(path, "requirements"), "are less than two");
  return messages.map((each, index) =>
    compileRequirement(each, item(path, "requirements", index), notes, providers),
  );
}
