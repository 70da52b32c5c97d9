/** HeaderValueOption lists and names to remove → HeaderMutations. */
import {
  HeaderValueOption_HeaderAppendAction as Action,
  type HeaderValueOption,
  HeaderValueOptionSchema,
  HeaderValueSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import type { HeaderMutation, HeaderMutations } from "../model/route.ts";
import { noMutations } from "../routing/headers.ts";
import { compileHeaderFormat } from "./format.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

/** `add` and `remove` are two fields of a message at `path`: `request_headers_to_add` and so on. */
export function compileMutations(
  direction: "request" | "response",
  add: readonly HeaderValueOption[],
  remove: readonly string[],
  path: Path,
  notes: Notes,
): HeaderMutations {
  if (add.length === 0 && remove.length === 0) return noMutations;
  return {
    set: add.map((option, index) =>
      compileMutation(option, item(path, `${direction}_headers_to_add`, index), notes),
    ),
    remove: remove.map((name, index) =>
      removableName(name, item(path, `${direction}_headers_to_remove`, index)),
    ),
  };
}

const optionFields = { used: ["header", "append", "append_action", "keep_empty_value"] };
const valueFields = { used: ["key", "value", "raw_value"] };

export function compileMutation(
  option: HeaderValueOption,
  path: Path,
  notes: Notes,
): HeaderMutation {
  checkFields(option, HeaderValueOptionSchema, path, notes, optionFields);
  const { header } = option;
  if (header === undefined) throw new CompileError(at(path, "header"), "is missing");
  checkFields(header, HeaderValueSchema, at(path, "header"), notes, valueFields);
  const text =
    header.rawValue.length > 0 ? Buffer.from(header.rawValue).toString("latin1") : header.value;
  return {
    name: settableName(header.key, at(path, "header.key")),
    value: compileHeaderFormat(text, at(path, "header.value")),
    mode: mode(option, path),
    keepEmptyValue: option.keepEmptyValue,
  };
}

function mode(option: HeaderValueOption, path: Path): HeaderMutation["mode"] {
  // The deprecated field; it wins where it is set.
  if (option.append !== undefined) return option.append ? "append-or-add" : "overwrite-or-add";
  switch (option.appendAction) {
    case Action.APPEND_IF_EXISTS_OR_ADD:
      return "append-or-add";
    case Action.ADD_IF_ABSENT:
      return "add-if-absent";
    case Action.OVERWRITE_IF_EXISTS_OR_ADD:
      return "overwrite-or-add";
    case Action.OVERWRITE_IF_EXISTS:
      return "overwrite-if-exists";
    default:
      throw new CompileError(at(path, "append_action"), `${option.appendAction} is unknown`);
  }
}

const token = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

function settableName(key: string, path: Path): string {
  const name = key.toLowerCase();
  if (name.startsWith(":") || name === "host")
    throw new CompileError(path, `${key} cannot be set; a rewrite of host or path can`);
  if (!token.test(name)) throw new CompileError(path, `"${key}" is not a header name`);
  return name;
}

function removableName(key: string, path: Path): string {
  const name = key.toLowerCase();
  if (name.startsWith(":") || name === "host")
    throw new CompileError(path, `${key} cannot be removed`);
  return name;
}

/** `first` with all its levels, then `second`. */
export function joinMutations(first: HeaderMutations, second: HeaderMutations): HeaderMutations {
  if (second === noMutations) return first;
  if (first === noMutations) return second;
  const next = first.next === undefined ? second : joinMutations(first.next, second);
  return { set: first.set, remove: first.remove, next };
}
