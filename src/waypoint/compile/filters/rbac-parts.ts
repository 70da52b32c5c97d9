/** What permissions and principals have in common. */
import { type Cidr, cidrOf } from "../../../shared/net/cidr.ts";
import { parseIp } from "../../../shared/net/ip.ts";
import {
  type CidrRange,
  CidrRangeSchema,
} from "../../../shared/wire/gen/envoy/config/core/v3/address_pb.js";
import {
  type PathMatcher,
  PathMatcherSchema,
} from "../../../shared/wire/gen/envoy/type/matcher/v3/path_pb.js";
import { allOf, type Condition, oneOf } from "../../filters/rbac/condition.ts";
import { compileStringMatcher } from "../matchers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";

export function compileCidr(range: CidrRange, path: Path, notes: Notes): Cidr {
  checkFields(range, CidrRangeSchema, path, notes, { used: ["address_prefix", "prefix_len"] });
  const ip = parseIp(range.addressPrefix);
  const cidr = ip === undefined ? undefined : cidrOf(ip, range.prefixLen ?? 0);
  if (cidr === undefined)
    throw new CompileError(path, `${range.addressPrefix}/${range.prefixLen ?? 0} is not a prefix`);
  return cidr;
}

export function compilePath(matcher: PathMatcher, path: Path, notes: Notes): Condition {
  checkFields(matcher, PathMatcherSchema, path, notes, { used: ["path"] });
  if (matcher.rule.case !== "path") throw new CompileError(at(path, "path"), "is missing");
  return {
    kind: "path",
    matcher: compileStringMatcher(matcher.rule.value, at(path, "path"), notes),
  };
}

/** `any` must be true, as the reference's validation has it. */
export function compileAny(value: boolean, path: Path): Condition {
  if (!value) throw new CompileError(at(path, "any"), "must be true");
  return { kind: "any" };
}

/** An empty set would hold or not hold by accident: it is refused, as in the reference. */
export function compileSet<Message>(
  combine: "and" | "or",
  members: readonly Message[],
  path: Path,
  field: string,
  compile: (message: Message, path: Path) => Condition,
): Condition {
  if (members.length === 0) throw new CompileError(at(path, field), "is empty");
  const conditions = members.map((each, index) => compile(each, item(path, field, index)));
  return combine === "and" ? allOf(conditions) : oneOf(conditions);
}
