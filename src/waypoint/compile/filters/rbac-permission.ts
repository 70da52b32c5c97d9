/** Permissions: what is asked for. */

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  type Permission,
  Permission_SetSchema,
  PermissionSchema,
} from "../../../shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import { UriTemplateMatchConfigSchema } from "../../../shared/wire/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { type Condition, noneOf } from "../../filters/rbac/condition.ts";
import { compileHeaderMatcher, compileStringMatcher } from "../matchers.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "../notes.ts";
import { compileUriTemplate } from "../uri-template.ts";
import { compileMetadataMatcher } from "../value-matchers.ts";
import { compileAny, compileCidr, compilePath, compileSet } from "./rbac-parts.ts";

const fields = {
  used: [
    "and_rules",
    "or_rules",
    "not_rule",
    "any",
    "header",
    "url_path",
    "uri_template",
    "destination_ip",
    "destination_port",
    "destination_port_range",
    "metadata",
    "requested_server_name",
  ],
};

export function compilePermission(message: Permission, path: Path, notes: Notes): Condition {
  checkFields(message, PermissionSchema, path, notes, fields);
  const { rule } = message;
  switch (rule.case) {
    case "andRules":
    case "orRules": {
      const setPath = at(path, rule.case === "andRules" ? "and_rules" : "or_rules");
      checkFields(rule.value, Permission_SetSchema, setPath, notes, { used: ["rules"] });
      return compileSet(
        rule.case === "andRules" ? "and" : "or",
        rule.value.rules,
        setPath,
        "rules",
        (each, where) => compilePermission(each, where, notes),
      );
    }
    case "notRule":
      return noneOf(compilePermission(rule.value, at(path, "not_rule"), notes));
    case "any":
      return compileAny(rule.value, path);
    default:
      return compileLeaf(rule, path, notes);
  }
}

function compileLeaf(rule: Permission["rule"], path: Path, notes: Notes): Condition {
  switch (rule.case) {
    case "header":
      return {
        kind: "header",
        matcher: compileHeaderMatcher(rule.value, at(path, "header"), notes),
      };
    case "urlPath":
      return compilePath(rule.value, at(path, "url_path"), notes);
    case "uriTemplate": {
      const where = at(path, "uri_template");
      const { typedConfig } = rule.value;
      const config = typedConfig && anyUnpack(typedConfig, UriTemplateMatchConfigSchema);
      if (config === undefined) throw new CompileError(where, "is not a URI template");
      return { kind: "path-template", template: compileUriTemplate(config.pathTemplate, where) };
    }
    case "destinationIp":
      return {
        kind: "destination-ip",
        cidr: compileCidr(rule.value, at(path, "destination_ip"), notes),
      };
    case "destinationPort":
      return { kind: "destination-port", start: rule.value, end: rule.value + 1 };
    case "destinationPortRange": {
      const { start, end } = rule.value;
      if (end <= start) throw new CompileError(at(path, "destination_port_range"), "is empty");
      return { kind: "destination-port", start, end };
    }
    case "metadata":
      return {
        kind: "metadata",
        matcher: compileMetadataMatcher(rule.value, at(path, "metadata"), notes),
      };
    case "requestedServerName":
      return {
        kind: "server-name",
        matcher: compileStringMatcher(rule.value, at(path, "requested_server_name"), notes),
      };
    default:
      throw new CompileError(path, "has no rule");
  }
}
