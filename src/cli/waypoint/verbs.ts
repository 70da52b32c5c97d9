/** Verbs of `ambit waypoint` that work on object files: each a command of its own in this folder. */
import { Command } from "commander";
import { systemClock } from "../../shared/base/clock.ts";
import { type CommandIo, UsageFailure } from "../command.ts";
import { applyCommand } from "./apply.ts";
import { awaitProgrammed } from "./await-programmed.ts";
import { checkName, gatewayText, REVISION, WAYPOINT_FOR } from "./gateway-object.ts";
import { type Gateway, programmedConditions, waypointsOf } from "./mesh-view.ts";
import { removeFromPlace } from "./object-folder.ts";
import {
  type PlaceArguments,
  withAllNamespaces,
  withGateway,
  withPlace,
  withTimeout,
} from "./options.ts";
import { tableText } from "./table.ts";

export function waypointVerbs(io: CommandIo): readonly Command[] {
  const verbs = [
    applyCommand(io),
    generateCommand(io),
    listCommand(io),
    statusCommand(io),
    deleteCommand(io),
  ];
  for (const verb of verbs)
    verb.configureOutput({ writeOut: io.stdout, writeErr: io.stderr }).exitOverride();
  return verbs;
}

interface GenerateArguments {
  readonly name: string;
  readonly namespace?: string;
  readonly for?: string;
  readonly revision?: string;
}

function generateCommand(io: CommandIo): Command {
  return withGateway(new Command("generate"))
    .description("print a waypoint's Gateway")
    .option("-n, --namespace <namespace>", "where the waypoint is")
    .action(({ name, namespace, for: trafficType, revision }: GenerateArguments) => {
      io.stdout(gatewayText({ name: checkName(name), namespace, trafficType, revision }));
    });
}

interface ListArguments extends PlaceArguments {
  readonly allNamespaces: boolean;
}

const NONE_FOUND = "No waypoints found.\n";

function listCommand(io: CommandIo): Command {
  return withAllNamespaces(withPlace(new Command("list")))
    .description("list the waypoints")
    .action(async ({ config, namespace, allNamespaces: all }: ListArguments) => {
      const gateways = waypointsOf(config, all ? undefined : namespace);
      const programmed = await programmedConditions(config);
      const rows = gateways.map((gateway) => [
        ...(all ? [gateway.metadata.namespace] : []),
        gateway.metadata.name,
        gateway.metadata.labels[REVISION] ?? "default",
        gateway.metadata.labels[WAYPOINT_FOR] ?? "none",
        programmed.get(gateway.key)?.status ?? "False",
      ]);
      const head = ["NAME", "REVISION", "TRAFFIC TYPE", "PROGRAMMED"];
      io.stdout(
        rows.length === 0 ? NONE_FOUND : tableText([all ? ["NAMESPACE", ...head] : head, ...rows]),
      );
    });
}

interface StatusArguments extends ListArguments {
  readonly wait: boolean;
  readonly waypointTimeout: number;
}

function statusCommand(io: CommandIo): Command {
  return withTimeout(withAllNamespaces(withPlace(new Command("status"))))
    .description("show whether the waypoints are ready")
    .option("-w, --wait", "until they are", true)
    .option("--no-wait", "as they are now")
    .action(async (options: StatusArguments) => {
      const { config, namespace, allNamespaces: all } = options;
      const gateways = waypointsOf(config, all ? undefined : namespace);
      const failed = options.wait ? await waitForAll(io, options, gateways) : undefined;
      io.stdout(gateways.length === 0 ? NONE_FOUND : await statusTable(config, gateways, all));
      if (failed !== undefined) throw failed;
    });
}

/** The first waypoint that was not ready in time, as a failure to end with. */
async function waitForAll(
  io: CommandIo,
  { config, waypointTimeout: timeoutMs }: StatusArguments,
  gateways: readonly Gateway[],
): Promise<unknown> {
  for (const { key, metadata } of gateways) {
    const waypoint = { key, name: `${metadata.namespace}/${metadata.name}` };
    try {
      await awaitProgrammed(config, waypoint, {
        clock: systemClock,
        timeoutMs,
        signal: io.shutdown,
      });
    } catch (thrown) {
      return thrown;
    }
  }
  return undefined;
}

async function statusTable(
  config: string,
  gateways: readonly Gateway[],
  all: boolean,
): Promise<string> {
  const programmed = await programmedConditions(config);
  const rows = gateways.map(({ key, metadata }) => {
    const { status = "Unknown", type = "", reason = "", message = "" } = programmed.get(key) ?? {};
    return [...(all ? [metadata.namespace] : []), metadata.name, status, type, reason, message];
  });
  const head = ["NAME", "STATUS", "TYPE", "REASON", "MESSAGE"];
  return tableText([all ? ["NAMESPACE", ...head] : head, ...rows]);
}

interface DeleteArguments extends PlaceArguments {
  readonly all: boolean;
  readonly revision?: string;
}

function deleteCommand(io: CommandIo): Command {
  return withPlace(new Command("delete"))
    .description("take waypoints away")
    .argument("[names...]", "which ones")
    .option("--all", "all of the namespace", false)
    .option("-r, --revision <revision>", "those of this control plane")
    .action((names: readonly string[], options: DeleteArguments) => {
      deleteWaypoints(io, names, options);
    });
}

function deleteWaypoints(
  io: CommandIo,
  names: readonly string[],
  { config, namespace, all, revision }: DeleteArguments,
): void {
  const every = all || revision !== undefined;
  if (every && names.length > 0)
    throw new UsageFailure("cannot specify waypoint names when deleting all waypoints");
  if (!every && names.length === 0)
    throw new UsageFailure("specify a waypoint name, --all, or --revision");
  const found = waypointsOf(config, namespace);
  for (const name of names)
    if (!found.some(({ metadata }) => metadata.name === name))
      io.stdout(`waypoint ${namespace}/${name} not found\n`);
  for (const gateway of found) {
    const { name, labels } = gateway.metadata;
    const chosen = every
      ? revision === undefined || labels[REVISION] === revision
      : names.includes(name);
    if (!chosen) continue;
    removeFromPlace(gateway);
    io.stdout(`waypoint ${namespace}/${name} deleted\n`);
  }
}
