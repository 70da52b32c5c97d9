/** Options that several commands have. */
import { InvalidArgumentError, Option } from "commander";
import { parseListenAddress } from "../shared/net/listen-address.ts";
import { LogFilter, logLevels } from "../shared/telemetry/logger.ts";

/** Without `fallback` nothing listens unless asked. */
export function listenAddress(flag: string, help: string, fallback?: string): Option {
  const option = new Option(`${flag} <host:port>`, help).argParser((text: string) => {
    const address = parseListenAddress(text);
    if (address === undefined) throw new InvalidArgumentError("expected <host>:<port>");
    return address;
  });
  return fallback === undefined ? option : option.default(parseListenAddress(fallback), fallback);
}

/** `scope` is one for the example in the help. */
export function logFilter(scope: string): Option {
  return new Option("--log <directives>", `${logLevels.join(", ")}, or per scope: ${scope}=debug`)
    .argParser((text: string) => {
      const filter = new LogFilter("info");
      const problem = filter.apply(text);
      if (problem !== undefined) throw new InvalidArgumentError(problem);
      return filter;
    })
    .default(new LogFilter("info"), "info");
}

export function logFormat(): Option {
  return new Option("--log-format <format>", "of the log lines")
    .choices(["plain", "json"])
    .default("plain");
}
