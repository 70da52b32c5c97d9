/**
 * `ambit waypoint`: without a verb, or with the words of the reference's pod template, the proxy itself (wire/waypoint.md section
 * 1.6); with a verb of `verbs`, a tool for the objects that declare waypoints.
 */
import { existsSync, readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { Command } from "commander";
import { systemClock } from "../shared/base/clock.ts";
import { describeError } from "../shared/base/errors.ts";
import { createLineWriter, type LineWriter } from "../shared/telemetry/line-writer.ts";
import { createLogger, LogFilter } from "../shared/telemetry/logger.ts";
import { runWaypoint } from "../waypoint/app.ts";
import { loadConfig, type WaypointConfig } from "../waypoint/config.ts";
import type { CommandIo } from "./command.ts";
import { waypointVerbs } from "./waypoint/verbs.ts";

const VERSION = "0.1.0";

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** A defect in the handling of one request must not cut all others; whatever decides about policy fails closed before. */
function surviveDefects(config: WaypointConfig, lines: LineWriter): void {
  const logger = createLogger(
    {
      clock: systemClock,
      filter: new LogFilter("error"),
      format: config.logFormat,
      write: lines.write,
    },
    "app",
  );
  const report = (thrown: unknown): void =>
    logger.error("unexpected error", {
      error: describeError(thrown),
      stack: thrown instanceof Error ? thrown.stack : undefined,
    });
  process.on("uncaughtException", report);
  process.on("unhandledRejection", report);
}

async function run(io: CommandIo, args: readonly string[]): Promise<void> {
  const config = loadConfig({ env: io.env, args, readFile: readText, fileExists: existsSync });
  // By itself V8 lets the heap grow to several times of what lives in it before it collects.
  setFlagsFromString("--heap-growing-percent=60");
  const lines = createLineWriter(1, systemClock);
  surviveDefects(config, lines);
  try {
    await runWaypoint({
      config,
      clock: systemClock,
      random: Math.random,
      writeLog: lines.write,
      variable: (name) => io.env[name],
      version: VERSION,
      shutdown: io.shutdown,
      kill: io.kill,
    });
  } catch (thrown) {
    lines.flush();
    io.stderr(`ambit: ${describeError(thrown)}\n`);
    process.exit(1);
  }
  lines.flush();
  // Drained: whatever is still open belongs to nobody.
  process.exit(0);
}

export function build(io: CommandIo): Command {
  const command = new Command()
    .argument("[args...]", "`proxy waypoint …` as the reference's pod template passes it")
    .allowUnknownOption()
    .action(async (args: readonly string[]) => run(io, args));
  for (const verb of waypointVerbs(io)) command.addCommand(verb);
  return command;
}
