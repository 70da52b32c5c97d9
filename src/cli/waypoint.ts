/**
 * `ambit waypoint`: without a verb, or with the words of the reference's pod template, the proxy itself (wire/waypoint.md section
 * 1.6); with a verb of `verbs`, a tool for the objects that declare waypoints.
 */
import { existsSync } from "node:fs";
import { Command } from "commander";
import { systemClock } from "../shared/base/clock.ts";
import { runWaypoint } from "../waypoint/app.ts";
import { loadConfig } from "../waypoint/config.ts";
import type { CommandIo } from "./command.ts";
import { readText, runProxyProcess, VERSION } from "./proxy-process.ts";
import { waypointVerbs } from "./waypoint/verbs.ts";

async function run(io: CommandIo, args: readonly string[]): Promise<void> {
  const config = loadConfig({ env: io.env, args, readFile: readText, fileExists: existsSync });
  await runProxyProcess(io, config.logFormat, (writeLog) =>
    runWaypoint({
      config,
      clock: systemClock,
      random: Math.random,
      writeLog,
      variable: (name) => io.env[name],
      version: VERSION,
      shutdown: io.shutdown,
      kill: io.kill,
    }),
  );
}

export function build(io: CommandIo): Command {
  const command = new Command()
    .argument("[args...]", "`proxy waypoint …` as the reference's pod template passes it")
    .allowUnknownOption()
    .action(async (args: readonly string[]) => run(io, args));
  for (const verb of waypointVerbs(io)) command.addCommand(verb);
  return command;
}
