/** What a request is for: the part of a rule that becomes permissions. */
import type { ObjectOf } from "../../../../shared/objects/kinds.ts";
import type { PermissionSchema } from "../../../../shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import { UriTemplateMatchConfigSchema } from "../../../../shared/wire/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import type { ValueMatcherInit } from "../claims.ts";
import { type Init, pack } from "../wire.ts";
import { addressRange, headerPattern, textPattern } from "./patterns.ts";
import { allOf, type Check, each, type FieldTest, type Logic, together } from "./tests.ts";

export type PermissionInit = Init<typeof PermissionSchema>;
export type AuthorizationRule = ObjectOf<"AuthorizationPolicy">["spec"]["rules"][number];
export type When = AuthorizationRule["when"][number];

type PermissionTest = FieldTest<PermissionInit>;

export const permissionLogic: Logic<PermissionInit> = {
  and: (rules) => ({ rule: { case: "andRules", value: { rules } } }),
  or: (rules) => ({ rule: { case: "orRules", value: { rules } } }),
  not: (rule) => ({ rule: { case: "notRule", value: rule } }),
  any: { rule: { case: "any", value: true } },
};

const METADATA_PREFIX = "experimental.envoy.filters.";

/** Undefined for conditions that are about the client. */
function ofCondition({ key }: When): Check<PermissionInit> | undefined {
  switch (key) {
    case "destination.ip":
      return each((text) => {
        const value = addressRange(text);
        return value && { rule: { case: "destinationIp", value } };
      });
    case "destination.port":
      return each(portPermission);
    case "connection.sni":
      return each((text) => ({
        rule: { case: "requestedServerName", value: textPattern(text) },
      }));
    default:
      return key.startsWith(METADATA_PREFIX)
        ? together((values) => metadataPermission(key, values))
        : undefined;
  }
}

export function isAboutRequest(when: When): boolean {
  return ofCondition(when) !== undefined;
}

function portPermission(text: string): PermissionInit | undefined {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value <= 65_535 ? { rule: { case: "destinationPort", value } } : undefined;
}

/** `experimental.envoy.filters.a.b[c]`: the value c that the filter envoy.filters.a.b left. `[v]` asks for a list with v. */
function metadataPermission(key: string, values: readonly string[]): PermissionInit | undefined {
  const path = key.slice("experimental.".length).replace(/\]$/, "");
  const bracket = path.indexOf("[");
  if (bracket < 0) return undefined;
  const matchers = values.map((text): ValueMatcherInit => {
    const plain = (value: string): ValueMatcherInit => ({
      matchPattern: { case: "stringMatch", value: textPattern(value) },
    });
    if (!text.startsWith("[") || !text.endsWith("]")) return plain(text);
    const inList = plain(text.replace(/^[[\]]+|[[\]]+$/g, ""));
    return {
      matchPattern: {
        case: "listMatch",
        value: { matchPattern: { case: "oneOf", value: inList } },
      },
    };
  });
  return {
    rule: {
      case: "metadata",
      value: {
        filter: path.slice(0, bracket),
        path: [{ segment: { case: "key", value: path.slice(bracket + 1) } }],
        value: anyOfValues(matchers),
      },
    },
  };
}

export function anyOfValues(valueMatchers: ValueMatcherInit[]): ValueMatcherInit {
  const [single] = valueMatchers;
  return valueMatchers.length === 1 && single !== undefined
    ? single
    : { matchPattern: { case: "orMatch", value: { valueMatchers } } };
}

function pathPermission(path: string): PermissionInit {
  // {*} stands for one segment, {**} for any number of them.
  if (!path.includes("{*}") && !path.includes("{**}"))
    return {
      rule: { case: "urlPath", value: { rule: { case: "path", value: textPattern(path) } } },
    };
  const pathTemplate = path.replaceAll("{**}", "**").replaceAll("{*}", "*");
  const typedConfig = pack(UriTemplateMatchConfigSchema, { pathTemplate });
  return { rule: { case: "uriTemplate", value: { name: "uri-template", typedConfig } } };
}

function headerPermission(name: string, value: string, ignoreCase: boolean): PermissionInit {
  return { rule: { case: "header", value: headerPattern(name, value, ignoreCase) } };
}

/** Undefined when the rule cannot be kept on connections without requests. */
export function permissionsOf(
  { to, when }: AuthorizationRule,
  { tcp, allows }: { readonly tcp: boolean; readonly allows: boolean },
): PermissionInit[] | undefined {
  const conditions = when.flatMap((one): readonly PermissionTest[] => {
    const check = ofCondition(one);
    return check === undefined ? [] : [{ ...one, check }];
  });
  /** TCP has no requests to look at. */
  const http = (make: (value: string) => PermissionInit): Check<PermissionInit> =>
    each((value) => (tcp ? undefined : make(value)));
  const operations = to.length === 0 ? [undefined] : to.map(({ operation }) => operation);
  const made: PermissionInit[] = [];
  for (const operation of operations) {
    const fields: readonly PermissionTest[] =
      operation === undefined
        ? []
        : [
            {
              values: operation.hosts,
              notValues: operation.notHosts,
              check: http((host) => headerPermission(":authority", host, true)),
            },
            {
              values: operation.methods,
              notValues: operation.notMethods,
              check: http((method) => headerPermission(":method", method, false)),
            },
            {
              values: operation.paths,
              notValues: operation.notPaths,
              check: http(pathPermission),
            },
            {
              values: operation.ports,
              notValues: operation.notPorts,
              check: each(portPermission),
            },
          ];
    const permission = allOf([...fields, ...conditions], permissionLogic, allows);
    if (permission === undefined) return undefined;
    made.push(permission);
  }
  return made;
}
