/** `ambit status`: what the mesh makes of a file or folder of objects, without a running control plane. */
import { Command } from "commander";
import { loadStatus } from "../controlplane/status/load.ts";
import { statusText } from "../controlplane/status/text.ts";
import { defaultMeshSettings } from "../controlplane/translate/settings.ts";
import type { CommandIo } from "./command.ts";

interface StatusArguments {
  readonly config: string;
  readonly node?: string;
  readonly json: boolean;
  readonly rootNamespace: string;
}

export function build(io: CommandIo): Command {
  return new Command()
    .requiredOption("--config <file|dir>", "Kubernetes objects in YAML")
    .option("--node <name>", "show the pods of this node only")
    .option(
      "--root-namespace <namespace>",
      "policies here apply to the whole mesh",
      defaultMeshSettings.rootNamespace,
    )
    .option("--json", "print the report as JSON", false)
    .action(async (options: StatusArguments) => {
      const settings = { ...defaultMeshSettings, rootNamespace: options.rootNamespace };
      const report = await loadStatus(options.config, settings, options.node);
      io.stdout(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : statusText(report));
    });
}
