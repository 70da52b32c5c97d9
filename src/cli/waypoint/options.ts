/** Options that several verbs share. */
import { type Command, Option } from "commander";
import { parseTtl } from "../token.ts";
import { DEFAULT_NAME, TRAFFIC_TYPES } from "./gateway-object.ts";

const DEFAULT_TIMEOUT_MS = 90_000;

export interface PlaceArguments {
  readonly config: string;
  readonly namespace: string;
}

export function withPlace(command: Command): Command {
  return command
    .requiredOption("--config <file|dir>", "Kubernetes objects in YAML")
    .option("-n, --namespace <namespace>", "where the waypoint is", "default");
}

export function withGateway(command: Command): Command {
  return command
    .option("--name <name>", "name of the waypoint", DEFAULT_NAME)
    .addOption(new Option("--for <type>", "traffic that it is for").choices(TRAFFIC_TYPES))
    .option("-r, --revision <revision>", "control plane that it belongs to");
}

export function withTimeout(command: Command): Command {
  return command.addOption(
    new Option("--waypoint-timeout <duration>", "how long to wait, like 90s")
      .argParser(parseTtl)
      .default(DEFAULT_TIMEOUT_MS, "90s"),
  );
}

export function withAllNamespaces(command: Command): Command {
  return command.option("-A, --all-namespaces", "in all namespaces", false);
}
