/** Loggers for tests: one that says nothing, one that remembers. */
import { systemClock } from "../../src/shared/base/clock.ts";
import { createLogger, LogFilter, type Logger } from "../../src/shared/telemetry/logger.ts";

export function rememberingLog(lines: string[], level = "debug"): Logger {
  const filter = new LogFilter(level);
  return createLogger(
    { clock: systemClock, filter, format: "plain", write: (line) => lines.push(line) },
    "test",
  );
}

export const quietLog: Logger = rememberingLog([], "off");
