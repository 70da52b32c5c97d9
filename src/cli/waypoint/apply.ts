/** `ambit waypoint apply`: puts a waypoint's Gateway among the objects, and may let its namespace use it. */
import { Command } from "commander";
import { systemClock } from "../../shared/base/clock.ts";
import { readObjects } from "../../shared/objects/file/read.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { CommandFailure, type CommandIo } from "../command.ts";
import { awaitProgrammed } from "./await-programmed.ts";
import {
  checkName,
  gatewayText,
  listeners,
  REVISION,
  WAYPOINT_CLASS,
  WAYPOINT_FOR,
} from "./gateway-object.ts";
import { addObject, editInPlace } from "./object-folder.ts";
import { type PlaceArguments, withGateway, withPlace, withTimeout } from "./options.ts";

const USE_WAYPOINT = "istio.io/use-waypoint";
const DATAPLANE_MODE = "istio.io/dataplane-mode";

interface ApplyArguments extends PlaceArguments {
  readonly name: string;
  readonly for?: string;
  readonly revision?: string;
  readonly enrollNamespace: boolean;
  readonly overwrite: boolean;
  readonly wait: boolean;
  readonly waypointTimeout: number;
}

export function applyCommand(io: CommandIo): Command {
  const command = withTimeout(withGateway(withPlace(new Command("apply"))))
    .description("put a waypoint among the objects")
    .option("--enroll-namespace", "let the namespace use the waypoint", false)
    .option("--overwrite", "in place of a waypoint that the namespace uses already", false)
    .option("-w, --wait", "until the waypoint is ready", false);
  return command.action(async (options: ApplyArguments) => apply(io, options));
}

async function apply(io: CommandIo, options: ApplyArguments): Promise<void> {
  const { config, namespace } = options;
  const name = checkName(options.name);
  const enrolled = options.enrollNamespace ? namespaceToEnroll(io, options) : undefined;
  if (enrolled === "has a waypoint") return;
  writeGateway(options, name);
  io.stdout(`waypoint ${namespace}/${name} applied\n`);
  if (options.wait) {
    const waypoint = { key: `Gateway/${namespace}/${name}`, name: `${namespace}/${name}` };
    const { waypointTimeout: timeoutMs } = options;
    await awaitProgrammed(config, waypoint, { clock: systemClock, timeoutMs, signal: io.shutdown });
    io.stdout(`waypoint ${namespace}/${name} is ready\n`);
  }
  if (enrolled === undefined) return;
  editInPlace(enrolled, { labels: { [USE_WAYPOINT]: name } });
  io.stdout(`namespace ${namespace} labeled with "${USE_WAYPOINT}: ${name}"\n`);
}

function namespaceToEnroll(
  io: CommandIo,
  { config, namespace, overwrite }: ApplyArguments,
): ObjectOf<"Namespace"> | "has a waypoint" {
  const found = readObjects(config).objects.get(`Namespace//${namespace}`);
  if (found?.kind !== "Namespace") throw new CommandFailure(`namespace ${namespace} not found`);
  const { labels } = found.metadata;
  if (!overwrite && (labels[USE_WAYPOINT] ?? "") !== "") {
    io.stdout(
      `Warning: namespace ${namespace} already uses the waypoint ${labels[USE_WAYPOINT]}. Add --overwrite to replace it.\n`,
    );
    return "has a waypoint";
  }
  if (labels[DATAPLANE_MODE] !== "ambient")
    io.stdout(
      `Warning: namespace ${namespace} is not in the mesh. Label it ${DATAPLANE_MODE}=ambient.\n`,
    );
  return found;
}

/** What nobody asked for any more is taken away; all else that somebody wrote stays. */
function writeGateway(options: ApplyArguments, name: string): void {
  const { config, namespace, for: trafficType, revision } = options;
  const known = readObjects(config).objects.get(`Gateway/${namespace}/${name}`);
  if (known === undefined) {
    const text = gatewayText({ name, namespace, trafficType, revision });
    addObject(config, `waypoint-${namespace}-${name}.yaml`, text);
    return;
  }
  editInPlace(known, {
    labels: { [WAYPOINT_FOR]: trafficType, [REVISION]: revision },
    fields: [
      [["spec", "gatewayClassName"], WAYPOINT_CLASS],
      [["spec", "listeners"], listeners],
    ],
  });
}
