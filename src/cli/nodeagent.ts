/** `ambit nodeagent`: decides which pods of this node are in the mesh and captures them. */
import { Command, InvalidArgumentError, Option } from "commander";
import { cleanUpNode, type ListenAddress, runNodeAgent } from "../nodeagent/process.ts";
import { parseAuthority } from "../shared/net/authority.ts";
import { LogFilter, logLevels } from "../shared/telemetry/logger.ts";
import type { CommandIo } from "./command.ts";

interface NodeAgentArguments {
  readonly config: string;
  readonly node: string;
  readonly zds: string;
  readonly dnsCapture: boolean;
  readonly releaseGraceMs: number;
  readonly releaseDrainMs: number;
  readonly probes: "off" | "any" | number;
  readonly monitoringAddr?: ListenAddress;
  readonly log: string;
  readonly logFormat: "plain" | "json";
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

function parseListenAddress(text: string): ListenAddress {
  const authority = parseAuthority(text);
  if (authority === undefined) throw new InvalidArgumentError("expected host:port");
  return authority.kind === "address"
    ? { host: authority.address.ip, port: authority.address.port }
    : { host: authority.host, port: authority.port };
}

function parseLogDirectives(text: string): string {
  const problem = new LogFilter("info").apply(text);
  if (problem !== undefined) throw new InvalidArgumentError(problem);
  return text;
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
      new Option(
        "--monitoring-addr <host:port>",
        "serve /metrics, /healthz/ready and /debug/pods there",
      ).argParser(parseListenAddress),
    )
    .addOption(
      new Option("--log <directives>", `${logLevels.join(", ")}, or per scope: zds=debug`)
        .argParser(parseLogDirectives)
        .default("info"),
    )
    .addOption(
      new Option("--log-format <format>", "of the log lines")
        .choices(["plain", "json"])
        .default("plain"),
    )
    .option("--cleanup", "take all pods of the node out of the mesh, then end", false)
    .action(async (options: NodeAgentArguments) => {
      if (options.cleanup) await cleanUpNode(options);
      else await runNodeAgent(options, io.shutdown);
    });
}
