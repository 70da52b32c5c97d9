/** `ambit ztunnel`: the node proxy, configured by the reference's environment alone (wire/ztunnel.md section 10). */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { Command } from "commander";
import { systemClock } from "../shared/base/clock.ts";
import { describeError } from "../shared/base/errors.ts";
import { createLineWriter, type LineWriter } from "../shared/telemetry/line-writer.ts";
import { createLogger, LogFilter } from "../shared/telemetry/logger.ts";
import { runZtunnel } from "../ztunnel/app.ts";
import { loadConfig, type ZtunnelConfig } from "../ztunnel/config.ts";
import type { CommandIo } from "./command.ts";

const VERSION = "0.1.0";

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/**
 * A defect in the handling of one connection must not cut all pods of the node: it is logged and the process goes on.
 * Whatever decides about policy fails closed before it gets here.
 */
function surviveDefects(config: ZtunnelConfig, lines: LineWriter): void {
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

/**
 * By itself V8 lets the heap grow to several times of what lives in it before it collects. Connections make garbage in
 * proportion to their number, so under load that is tens of megabytes of nothing; 60 % costs no measurable CPU.
 */
function keepHeapSmall(): void {
  setFlagsFromString("--heap-growing-percent=60");
}

async function run(io: CommandIo): Promise<void> {
  const config = loadConfig({
    env: io.env,
    readFile: readText,
    fileExists: existsSync,
    cpus: availableParallelism(),
  });
  keepHeapSmall();
  const lines = createLineWriter(1, systemClock);
  surviveDefects(config, lines);
  try {
    await runZtunnel({
      config,
      clock: systemClock,
      random: Math.random,
      writeLog: lines.write,
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
    .argument("[args...]", "`proxy` as the reference's chart passes it, or `version`")
    .allowUnknownOption()
    .action(async (args: readonly string[]) => {
      const [verb = "proxy"] = args;
      if (verb === "proxy") return run(io);
      if (verb === "version") {
        io.stdout(`${VERSION}\n`);
        return;
      }
      if (verb === "help") {
        command.outputHelp();
        return;
      }
      command.error(`unknown command '${verb}'`);
    });
  return command;
}
