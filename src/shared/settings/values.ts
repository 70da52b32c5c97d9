/** Values of settings that both proxies read from their environments. */
import { integer, type Variable, variable } from "../base/env.ts";
import { type IpAddress, parseIp } from "../net/ip.ts";
import { LogFilter } from "../telemetry/logger.ts";

/** An empty text is no value. */
export function optional<T>(parse: (text: string) => T): (text: string) => T | undefined {
  return (text) => (text === "" ? undefined : parse(text));
}

/** A variable without a default. */
export function unset<T>(
  name: string | readonly string[],
  parse: (text: string) => T | undefined,
  reason: string,
): Variable<T | undefined> {
  return variable<T | undefined>(name, parse, undefined, reason);
}

export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new RangeError("expected an IP address");
  return parsed;
}

export function logDirectives(text: string): string {
  return new LogFilter(text).toString();
}

export const defaultRoot = "./var/run/secrets/istio/root-cert.pem";
export const windowBytes = integer(65_535, 2 ** 31 - 1);
