/**
 * Structured log lines in the reference's text form or as JSON (wire/ztunnel.md section 9.1): a scope, a level that can be
 * changed while running, a message and fields. Never pass keys or tokens.
 */
import type { Clock } from "../base/clock.ts";
import { FieldPrinter, type LogFields, type LogFormat } from "./log-fields.ts";

export const logLevels = ["error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface Logger {
  /** Whether a line of this level would be written; ask before building costly fields. */
  enabled(level: LogLevel): boolean;
  log(level: LogLevel, message: string, fields?: LogFields): void;
  /** As `log`, with fields that a printer of this logger has printed. */
  print(level: LogLevel, message: string, fields: FieldPrinter): void;
  /** For the fields of one line, or of a part of many. */
  printer(): FieldPrinter;
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
  /** The same sink under another scope (`access`, `xds`, `inpod`); levels can be set per scope. */
  scope(name: string): Logger;
}

/** Levels per scope: the default, and overrides by the longest matching scope prefix (`xds` covers `xds::client`). */
export class LogFilter {
  #fallback: LogLevel | "off" = "info";
  readonly #scopes = new Map<string, LogLevel | "off">();
  #onChange: () => void = () => undefined;

  constructor(directives: string) {
    const problem = this.apply(directives);
    if (problem !== undefined) throw new RangeError(problem);
  }

  /** Adds directives like `info` or `access=debug,xds=warn`. Returns what is wrong with them and then changes nothing. */
  apply(directives: string): string | undefined {
    const parsed: [string | undefined, LogLevel | "off"][] = [];
    for (const part of directives
      .split(",")
      .map((text) => text.trim())
      .filter((text) => text !== "")) {
      const equals = part.indexOf("=");
      const level = (equals < 0 ? part : part.slice(equals + 1)).toLowerCase();
      if (level !== "off" && !logLevels.includes(level as LogLevel))
        return `unknown log level in "${part}"`;
      // The reference's targets carry its name; ours are the same without it.
      const scope = equals < 0 ? "" : part.slice(0, equals).replace(/^ztunnel(::|$)/, "");
      parsed.push([scope === "" ? undefined : scope, level as LogLevel | "off"]);
    }
    for (const [scope, level] of parsed) {
      if (scope === undefined) this.#fallback = level;
      else this.#scopes.set(scope, level);
    }
    this.#onChange();
    return undefined;
  }

  /** Calls the one who has to tell others of a change. */
  onChange(tell: () => void): void {
    this.#onChange = tell;
  }

  /** Back to a single set of directives. */
  reset(directives: string): string | undefined {
    this.#scopes.clear();
    this.#fallback = "info";
    return this.apply(directives);
  }

  allows(scope: string, level: LogLevel): boolean {
    const limit = this.#limitFor(scope);
    return limit !== "off" && logLevels.indexOf(level) <= logLevels.indexOf(limit);
  }

  #limitFor(scope: string): LogLevel | "off" {
    for (let name = scope; name !== ""; name = name.slice(0, Math.max(0, name.lastIndexOf("::")))) {
      const level = this.#scopes.get(name);
      if (level !== undefined) return level;
    }
    return this.#fallback;
  }

  toString(): string {
    return [this.#fallback, ...[...this.#scopes].map(([scope, level]) => `${scope}=${level}`)].join(
      ",",
    );
  }
}

export interface LoggerOptions {
  readonly clock: Pick<Clock, "wallMs">;
  readonly filter: LogFilter;
  readonly format: LogFormat;
  /** Takes one finished line with its line feed. */
  readonly write: (line: string) => void;
}

/** The last second that was printed: in a busy one thousands of lines share it. */
let printedSecond = Number.NaN;
let printedText = "";

/** RFC 3339 in UTC with microseconds. */
export function formatTimestamp(wallMs: number): string {
  const second = Math.floor(wallMs / 1000);
  if (second !== printedSecond) {
    // biome-ignore lint/style/noRestrictedGlobals: formats a given instant, reads no clock
    printedText = new Date(second * 1000).toISOString().slice(0, -4);
    printedSecond = second;
  }
  const micros = Math.min(999_999, Math.floor((wallMs - second * 1000) * 1000));
  return `${printedText}${String(micros).padStart(6, "0")}Z`;
}

export function createLogger(options: LoggerOptions, scope: string): Logger {
  const { clock, filter, format, write } = options;
  const head = `"scope":${JSON.stringify(scope)},"message":`;
  const printer = (): FieldPrinter => new FieldPrinter(format);
  const print = (level: LogLevel, message: string, { text }: FieldPrinter): void => {
    if (!filter.allows(scope, level)) return;
    const time = formatTimestamp(clock.wallMs());
    write(
      format === "json"
        ? `{"level":"${level}","time":"${time}",${head}${JSON.stringify(message)}${text === "" ? "" : ","}${text}}\n`
        : `${time}\t${level}\t${scope}\t${message}${text === "" ? "" : "\t"}${text}\n`,
    );
  };
  const log = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (!filter.allows(scope, level)) return;
    const printed = printer();
    for (const key in fields) printed.add(key, fields[key]);
    print(level, message, printed);
  };
  return {
    enabled: (level) => filter.allows(scope, level),
    log,
    print,
    printer,
    error: (message, fields) => log("error", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    info: (message, fields) => log("info", message, fields),
    debug: (message, fields) => log("debug", message, fields),
    trace: (message, fields) => log("trace", message, fields),
    scope: (name) => createLogger(options, name),
  };
}
