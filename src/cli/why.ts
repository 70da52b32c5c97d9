/** `ambit why`: why a connection gets through or does not, from a running node or from object files. */
import { Command, Option } from "commander";
import { defaultMeshSettings } from "../controlplane/translate/settings.ts";
import { WhyQuestionError } from "../ztunnel/why/find.ts";
import { CommandFailure, type CommandIo, UsageFailure } from "./command.ts";
import { explainLive } from "./why/live.ts";
import { explainOffline } from "./why/offline.ts";

interface WhyArguments {
  readonly from: string;
  readonly to: string;
  readonly config?: string;
  readonly admin: string;
  readonly json: boolean;
  readonly check: boolean;
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly rootNamespace: string;
  readonly dryRunPolicies: boolean;
}

interface Answer {
  readonly verdict: string;
  readonly text: readonly string[];
  readonly json: unknown;
}

export function build(io: CommandIo): Command {
  const mesh = defaultMeshSettings;
  return new Command()
    .requiredOption("--from <source>", "a pod, <namespace>/<pod> or an IP address")
    .requiredOption(
      "--to <destination>",
      "<ip>:<port>, <host>:<port> or <namespace>/<service or pod>:<port>",
    )
    .option("--config <file|dir>", "answer from these objects instead of a running node")
    .addOption(
      new Option("--admin <url>", "admin port of a node's ztunnel").default(
        "http://127.0.0.1:15000",
      ),
    )
    .option("--json", "print the whole record as JSON", false)
    .option("--check", "exit with 1 unless the connection is allowed", false)
    .option("--cluster-id <id>", "with --config: as for the control plane", mesh.clusterId)
    .option("--trust-domain <domain>", "with --config: as for the control plane", mesh.trustDomain)
    .option(
      "--cluster-domain <domain>",
      "with --config: as for the control plane",
      mesh.clusterDomain,
    )
    .option(
      "--root-namespace <namespace>",
      "with --config: as for the control plane",
      mesh.rootNamespace,
    )
    .option("--dry-run-policies", "with --config: as for the control plane", false)
    .action((options: WhyArguments) => run(options, io));
}

async function run(options: WhyArguments, io: CommandIo): Promise<void> {
  const answer = await ask(options, io);
  io.stdout(
    options.json
      ? `${JSON.stringify(answer.json, undefined, 2)}\n`
      : answer.text.map((line) => `${line}\n`).join(""),
  );
  if (options.check && answer.verdict !== "allowed")
    throw new CommandFailure(`the connection is not allowed: ${answer.verdict}`);
}

async function ask(options: WhyArguments, io: CommandIo): Promise<Answer> {
  const { from, to, config } = options;
  if (config === undefined) {
    const { verdict, text, recent, json } = await explainLive(adminUrl(options.admin), {
      from,
      to,
    });
    const lines = recent.map((line, i) => `${(i === 0 ? "recently" : "").padEnd(9)}${line}`);
    return { verdict, text: [...text, ...lines], json };
  }
  try {
    const { clusterId, clusterDomain, trustDomain, rootNamespace, dryRunPolicies } = options;
    const stated = { clusterId, clusterDomain, trustDomain, rootNamespace, dryRunPolicies };
    const mesh = { ...defaultMeshSettings, ...stated };
    const { record, problems } = await explainOffline({ config, mesh }, { from, to });
    for (const problem of problems) io.stderr(`ambit: ${problem}\n`);
    return { verdict: record.verdict, text: record.text, json: record };
  } catch (thrown) {
    if (thrown instanceof WhyQuestionError)
      throw new CommandFailure(thrown.message, { cause: thrown });
    throw thrown;
  }
}

/** `host:port` is as good as a URL. */
function adminUrl(text: string): string {
  const url = text.includes("://") ? text : `http://${text}`;
  if (!URL.canParse(url)) throw new UsageFailure(`--admin: expected a URL, not "${text}"`);
  return url;
}
