/** Verbs of `ambit waypoint` that work on object files: each a command of its own in this folder. */
import type { Command } from "commander";
import type { CommandIo } from "../command.ts";

export function waypointVerbs(_io: CommandIo): readonly Command[] {
  return [];
}
