/** `ambit nodeagent`: decides which pods of this node are in the mesh and captures them. */
import { Command, InvalidArgumentError, Option } from "commander";
import { cleanUpNode, type NodeAgentSettings, runNodeAgent } from "../nodeagent/process.ts";
import type { CommandIo } from "./command.ts";
import { listenAddress, logFilter, logFormat } from "./options.ts";

interface NodeAgentArguments extends NodeAgentSettings {
  readonly cleanup: boolean;
}

function parseMilliseconds(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("expected milliseconds");
  return Number(text);
}

function parseProbes(text: string): "off" | "any" | number {
  if (text === "off" || text === "any") return text;
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("expected a user id, any or off");
  return Number(text);
}

export function build(io: CommandIo): Command {
  return new Command()
    .requiredOption("--config <file|dir>", "Kubernetes objects in YAML, watched for changes")
    .requiredOption("--node <name>", "the node whose pods are looked after")
    .option("--zds <socket>", "where the ztunnel connects", "/var/run/ztunnel/ztunnel.sock")
    .option("--no-dns-capture", "leave DNS queries of pods alone unless their annotation asks")
    .addOption(
      new Option("--release-grace-ms <n>", "time for peers to learn that a pod leaves the mesh")
        .argParser(parseMilliseconds)
        .default(1000),
    )
    .addOption(
      new Option("--release-drain-ms <n>", "time for its connections to end before they are cut")
        .argParser(parseMilliseconds)
        .default(1000),
    )
    .addOption(
      new Option(
        "--probes <uid|any|off>",
        "let the node's probes into captured pods, by their user",
      )
        .argParser(parseProbes)
        .default("off"),
    )
    .addOption(
      listenAddress("--monitoring-addr", "serve /metrics, /healthz/ready and /debug/pods there"),
    )
    .addOption(logFilter("zds"))
    .addOption(logFormat())
    .option("--cleanup", "take all pods of the node out of the mesh, then end", false)
    .action(async (options: NodeAgentArguments) => {
      if (options.cleanup) await cleanUpNode(options);
      else await runNodeAgent(options, io.shutdown);
    });
}
