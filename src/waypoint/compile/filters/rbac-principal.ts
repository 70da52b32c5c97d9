/** Principals: who asks. */
import {
  type Principal,
  Principal_AuthenticatedSchema,
  Principal_SetSchema,
  PrincipalSchema,
} from "../../../shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import {
  type FilterStateMatcher,
  FilterStateMatcherSchema,
} from "../../../shared/wire/gen/envoy/type/matcher/v3/filter_state_pb.js";
import { type Condition, noneOf } from "../../filters/rbac/condition.ts";
import { compileHeaderMatcher, compileStringMatcher } from "../matchers.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "../notes.ts";
import { compileMetadataMatcher } from "../value-matchers.ts";
import { compileAny, compileCidr, compilePath, compileSet } from "./rbac-parts.ts";

const fields = {
  used: [
    "and_ids",
    "or_ids",
    "not_id",
    "any",
    "authenticated",
    "source_ip",
    "direct_remote_ip",
    "remote_ip",
    "header",
    "url_path",
    "metadata",
    "filter_state",
  ],
};

export function compilePrincipal(message: Principal, path: Path, notes: Notes): Condition {
  checkFields(message, PrincipalSchema, path, notes, fields);
  const { identifier } = message;
  switch (identifier.case) {
    case "andIds":
    case "orIds": {
      const setPath = at(path, identifier.case === "andIds" ? "and_ids" : "or_ids");
      checkFields(identifier.value, Principal_SetSchema, setPath, notes, { used: ["ids"] });
      return compileSet(
        identifier.case === "andIds" ? "and" : "or",
        identifier.value.ids,
        setPath,
        "ids",
        (each, where) => compilePrincipal(each, where, notes),
      );
    }
    case "notId":
      return noneOf(compilePrincipal(identifier.value, at(path, "not_id"), notes));
    case "any":
      return compileAny(identifier.value, path);
    default:
      return compileLeaf(identifier, path, notes);
  }
}

function compileLeaf(identifier: Principal["identifier"], path: Path, notes: Notes): Condition {
  switch (identifier.case) {
    case "authenticated": {
      const where = at(path, "authenticated");
      checkFields(identifier.value, Principal_AuthenticatedSchema, where, notes, {
        used: ["principal_name"],
      });
      const { principalName } = identifier.value;
      return {
        kind: "authenticated",
        matcher:
          principalName && compileStringMatcher(principalName, at(where, "principal_name"), notes),
      };
    }
    // The tunnel's context has one source: the address that Envoy restores as direct and as connection address alike.
    case "sourceIp":
      return {
        kind: "source-ip",
        cidr: compileCidr(identifier.value, at(path, "source_ip"), notes),
      };
    case "directRemoteIp":
      return {
        kind: "source-ip",
        cidr: compileCidr(identifier.value, at(path, "direct_remote_ip"), notes),
      };
    case "remoteIp":
      return {
        kind: "remote-ip",
        cidr: compileCidr(identifier.value, at(path, "remote_ip"), notes),
      };
    case "header":
      return {
        kind: "header",
        matcher: compileHeaderMatcher(identifier.value, at(path, "header"), notes),
      };
    case "urlPath":
      return compilePath(identifier.value, at(path, "url_path"), notes);
    case "metadata":
      return {
        kind: "metadata",
        matcher: compileMetadataMatcher(identifier.value, at(path, "metadata"), notes),
      };
    case "filterState":
      return compileFilterState(identifier.value, at(path, "filter_state"), notes);
    default:
      throw new CompileError(path, "has no identifier");
  }
}

function compileFilterState(matcher: FilterStateMatcher, path: Path, notes: Notes): Condition {
  checkFields(matcher, FilterStateMatcherSchema, path, notes, { used: ["key", "string_match"] });
  if (matcher.key !== "io.istio.peer_principal")
    throw new CompileError(at(path, "key"), `${matcher.key} is not supported`);
  if (matcher.matcher.case !== "stringMatch")
    throw new CompileError(at(path, "string_match"), "is missing");
  return {
    kind: "peer-principal",
    matcher: compileStringMatcher(matcher.matcher.value, at(path, "string_match"), notes),
  };
}
