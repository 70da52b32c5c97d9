/** Format strings parsed as Envoy does: `%OPERATOR(argument):length%`, `%%` for a percent sign. */
import type { TelemetryEnvironment } from "../environment.ts";
import type { Format, Operator, Part } from "./format.ts";
import { operatorMaker } from "./operators.ts";

/** The format cannot be understood; says where. */
export class FormatError extends Error {
  override readonly name = "FormatError";
}

const OPERATOR = /%([A-Z0-9_]+)(?:\((.*?)\))?(?::(\d+))?%/y;

export interface OperatorCall {
  readonly name: string;
  /** Undefined: there were no parentheses. */
  readonly argument: string | undefined;
  readonly maxLength: number | undefined;
}

/** The pieces of a format, before anybody asks what the operators mean. */
export function splitFormat(source: string): (string | OperatorCall)[] {
  const parts: (string | OperatorCall)[] = [];
  let text = "";
  let at = 0;
  while (at < source.length) {
    const percent = source.indexOf("%", at);
    if (percent < 0) break;
    text += source.slice(at, percent);
    if (source[percent + 1] === "%") {
      text += "%";
      at = percent + 2;
      continue;
    }
    OPERATOR.lastIndex = percent;
    const found = OPERATOR.exec(source);
    if (found === null)
      throw new FormatError(`no operator at character ${percent + 1} of "${source}"`);
    if (text !== "") parts.push(text);
    text = "";
    const [, name = "", argument, length] = found;
    parts.push({ name, argument, maxLength: length === undefined ? undefined : Number(length) });
    at = OPERATOR.lastIndex;
  }
  text += source.slice(at);
  if (text !== "") parts.push(text);
  return parts;
}

/** Throws FormatError for what Envoy would refuse, and for operators that do not exist here. */
export function parseFormat(source: string, environment: TelemetryEnvironment): Format {
  const parts = splitFormat(source).map(
    (part): Part => (typeof part === "string" ? part : operatorOf(part, environment)),
  );
  return { source, parts };
}

function operatorOf(call: OperatorCall, environment: TelemetryEnvironment): Operator {
  const { name, argument, maxLength } = call;
  const known = operatorMaker(name);
  if (known === undefined) throw new FormatError(`%${name}% is not an operator known here`);
  if (known.argument === "none" && argument !== undefined)
    throw new FormatError(`%${name}% takes no argument`);
  if (known.argument === "required" && (argument === undefined || argument === ""))
    throw new FormatError(`%${name}% needs an argument`);
  if (maxLength !== undefined && !known.length) throw new FormatError(`%${name}% takes no length`);
  try {
    return known.make(argument ?? "", maxLength, environment);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new FormatError(`%${name}(${argument ?? ""})%: ${reason}`, { cause: thrown });
  }
}
