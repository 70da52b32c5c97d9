/** `ambit ztunnel`: the node proxy, configured by the reference's environment alone (wire/ztunnel.md section 10). */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Command } from "commander";
import { systemClock } from "../shared/base/clock.ts";
import { runZtunnel } from "../ztunnel/app.ts";
import { loadConfig } from "../ztunnel/config.ts";
import type { CommandIo } from "./command.ts";
import { readText, runProxyProcess, VERSION } from "./proxy-process.ts";
import { threadStarter } from "./thread-starter.ts";

async function run(io: CommandIo): Promise<void> {
  const config = loadConfig({
    env: io.env,
    readFile: readText,
    fileExists: existsSync,
    cpus: availableParallelism(),
  });
  await runProxyProcess(io, config.logFormat, (writeLog) =>
    runZtunnel({
      config,
      clock: systemClock,
      random: Math.random,
      writeLog,
      version: VERSION,
      startThread: threadStarter(io.entry),
      shutdown: io.shutdown,
      kill: io.kill,
    }),
  );
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
