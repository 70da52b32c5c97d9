/** Splits and checks header values with `%...%` operators. What is not known is refused: it would print as nothing. */
import type { FormatOperator, HeaderFormat } from "../model/route.ts";
import { isFilterState, isOperator } from "../routing/format.ts";
import { unknownConversion } from "../routing/format-time.ts";
import { CompileError, type Path } from "./notes.ts";

const operatorPattern = /%([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::([0-9]+))?%/y;

export function compileHeaderFormat(source: string, path: Path): HeaderFormat {
  const parts: (string | FormatOperator)[] = [];
  let text = "";
  let at = 0;
  while (at < source.length) {
    const percent = source.indexOf("%", at);
    if (percent === -1) break;
    text += source.slice(at, percent);
    if (source[percent + 1] === "%") {
      text += "%";
      at = percent + 2;
      continue;
    }
    operatorPattern.lastIndex = percent;
    const match = operatorPattern.exec(source);
    if (match === null)
      throw new CompileError(path, `has a "%" that begins no operator, at ${percent}; write "%%"`);
    if (text !== "") parts.push(text);
    text = "";
    parts.push(compiledOperator(match, path));
    at = percent + match[0].length;
  }
  text += source.slice(at);
  if (text !== "") parts.push(text);
  return { source, parts };
}

function compiledOperator(match: RegExpExecArray, path: Path): FormatOperator {
  const [whole, name = "", argument = "", length] = match;
  const maxLength = length === undefined ? undefined : Number(length);
  if (!isOperator(name)) throw new CompileError(path, `${whole} is not supported`);
  return { operator: name, arguments: argumentsOf(whole, name, argument, path), maxLength };
}

function argumentsOf(whole: string, name: string, argument: string, path: Path): readonly string[] {
  switch (name) {
    case "REQ":
    case "RESP":
    case "REQ_WITHOUT_QUERY":
      if (argument === "") throw new CompileError(path, `${whole} names no header`);
      return argument.toLowerCase().split("?").slice(0, 2);
    case "START_TIME": {
      const unknown = unknownConversion(argument);
      if (unknown !== undefined)
        throw new CompileError(path, `${whole} has the unknown conversion ${unknown}`);
      return [argument];
    }
    case "DYNAMIC_METADATA":
      if (argument === "") throw new CompileError(path, `${whole} names no filter`);
      return argument.split(":");
    case "FILTER_STATE":
      return [filterStateKey(whole, argument, path)];
    default:
      if (argument !== "") throw new CompileError(path, `${whole} takes no argument`);
      return [];
  }
}

function filterStateKey(whole: string, argument: string, path: Path): string {
  const [key = "", kind = "TYPED", ...more] = argument.split(":");
  if (kind !== "PLAIN" || more.length > 0)
    throw new CompileError(path, `${whole} is supported as FILTER_STATE(key:PLAIN) only`);
  if (!isFilterState(key)) throw new CompileError(path, `${whole} names a state that nothing sets`);
  return key;
}
