/** What the two proxies have in common as processes: log lines out, defects survived, the end. */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { systemClock } from "../shared/base/clock.ts";
import { describeError } from "../shared/base/errors.ts";
import { createLineWriter, type LineWriter } from "../shared/telemetry/line-writer.ts";
import type { LogFormat } from "../shared/telemetry/log-fields.ts";
import { createLogger, LogFilter } from "../shared/telemetry/logger.ts";
import type { CommandIo } from "./command.ts";
import { reportDefects } from "./report-defects.ts";

export const VERSION = "0.1.0";

/** Text of a file, undefined when there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/**
 * A defect in the handling of one connection or request must not cut all others: it is logged and the process goes on.
 * Whatever decides about policy fails closed before it gets here.
 */
function surviveDefects(format: LogFormat, lines: LineWriter): void {
  const logger = createLogger(
    { clock: systemClock, filter: new LogFilter("error"), format, write: lines.write },
    "app",
  );
  reportDefects(logger);
}

/**
 * By itself V8 lets the heap grow to several times of what lives in it before it collects. Connections make garbage in
 * proportion to their number, so under load that is tens of megabytes of nothing; 60 % costs no measurable CPU.
 */
function keepHeapSmall(): void {
  setFlagsFromString("--heap-growing-percent=60");
}

/** Runs a proxy to its end and exits: 0 when it drained, 1 with a line on stderr when it could not start or go on. */
export async function runProxyProcess(
  io: CommandIo,
  logFormat: LogFormat,
  serve: (writeLog: (line: string) => void) => Promise<void>,
): Promise<never> {
  keepHeapSmall();
  const lines = createLineWriter(1, systemClock);
  surviveDefects(logFormat, lines);
  try {
    await serve(lines.write);
  } catch (thrown) {
    lines.flush();
    io.stderr(`ambit: ${describeError(thrown)}\n`);
    process.exit(1);
  }
  lines.flush();
  // Drained: whatever is still open belongs to nobody.
  process.exit(0);
}
