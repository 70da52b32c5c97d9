/** Parts from which the tables of operators are made. */
import type { TelemetryEnvironment } from "../environment.ts";
import type { StreamRecord } from "../record.ts";
import type { Operator } from "./format.ts";

export interface OperatorMaker {
  readonly argument: "none" | "optional" | "required";
  /** Whether `:length` may follow. */
  readonly length: boolean;
  /** Throws an Error with the reason for arguments that make no sense. */
  make(
    argument: string,
    maxLength: number | undefined,
    environment: TelemetryEnvironment,
  ): Operator;
}

export type OperatorTable = Readonly<Record<string, OperatorMaker>>;

type Read<T> = (record: StreamRecord) => T | undefined;

export function plain(operator: Operator): OperatorMaker {
  return { argument: "none", length: false, make: () => operator };
}

export function text(read: Read<string>): OperatorMaker {
  return plain({ text: read });
}

/** Whole numbers; as JSON without quotes. */
export function number(read: Read<number>): OperatorMaker {
  const printed = (record: StreamRecord): string | undefined => {
    const value = read(record);
    return value === undefined ? undefined : String(Math.trunc(value));
  };
  return plain({ text: printed, json: printed });
}

/** Values that this proxy never has: sections of TLS inside the tunnel, fingerprints. */
export const never: OperatorMaker = {
  argument: "optional",
  length: true,
  make: () => ({ text: () => undefined }),
};

export function cut(value: string | undefined, maxLength: number | undefined): string | undefined {
  return value === undefined || maxLength === undefined ? value : value.slice(0, maxLength);
}

const NOT_ASCII = /[\u0080-\u00ff]/;

/** Headers are kept octet by octet; printed, they are what the octets mean. */
export function headerText(value: string | undefined): string | undefined {
  if (value === undefined || !NOT_ASCII.test(value)) return value;
  return utf8.decode(Uint8Array.from(value, (char) => char.charCodeAt(0)));
}

const utf8 = new TextDecoder();

/** `MAIN?ALTERNATIVE`, in lower case. */
export function headerNames(argument: string): readonly [string, string | undefined] {
  const [main = "", alternative, ...more] = argument.toLowerCase().split("?");
  if (more.length > 0) throw new Error("only one alternative is possible");
  if (/[\r\n\0]/.test(argument)) throw new Error("a header's name has no line feed");
  if (main === "") throw new Error("a header's name is missing");
  return [main, alternative];
}
