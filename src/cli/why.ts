/** `ambit why`: why a connection gets through or does not, from a running node or from object files. */
import { Command, Option } from "commander";
import { defaultMeshSettings } from "../controlplane/translate/settings.ts";
import { WaypointQuestionError } from "../waypoint/why.ts";
import { WhyQuestionError } from "../ztunnel/why/find.ts";
import { CommandFailure, type CommandIo, UsageFailure } from "./command.ts";
import { explainLive } from "./why/live.ts";
import { explainOffline } from "./why/offline.ts";
import {
  answerLines,
  askLive,
  combined,
  isRequest,
  requestOf,
  type WaypointAnswer,
} from "./why/waypoint.ts";

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
  readonly waypointAdmin?: string;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly header: readonly string[];
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
    .option(
      "--waypoint-admin <url>",
      "admin port of the waypoint on the way, which is asked what it does",
    )
    .option("--method <method>", "of a request that is followed through waypoints (GET)")
    .option("--path <path>", "of that request, with its query (/)")
    .option("--host <host>", "of that request (as in --to)")
    .addOption(
      new Option("--header <name:value>", "of that request; may be given several times")
        .argParser((value: string, before: readonly string[]) => [...before, value])
        .default([]),
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
  return options.config === undefined
    ? askRunning(options)
    : askObjects(options, options.config, io);
}

async function askRunning(options: WhyArguments): Promise<Answer> {
  const { from, to, waypointAdmin } = options;
  if (isRequest(options) && waypointAdmin === undefined)
    throw new UsageFailure(
      "--method, --path, --host and --header need --waypoint-admin or --config",
    );
  const answer = await explainLive(adminUrl(options.admin, "--admin"), { from, to });
  const recent = answer.recent.map((line, i) => `${(i === 0 ? "recently" : "").padEnd(9)}${line}`);
  const text = [...answer.text, ...recent];
  if (waypointAdmin === undefined) return { verdict: answer.verdict, text, json: answer.json };
  const request = requestOf(options, to);
  const url = adminUrl(waypointAdmin, "--waypoint-admin");
  const waypoints: WaypointAnswer[] = [];
  for (const waypoint of answer.waypoints) waypoints.push(await askLive(waypoint, request, url));
  return withWaypoints({ verdict: answer.verdict, text, json: answer.json }, waypoints);
}

async function askObjects(options: WhyArguments, config: string, io: CommandIo): Promise<Answer> {
  try {
    const { from, to } = options;
    const { clusterId, clusterDomain, trustDomain, rootNamespace, dryRunPolicies } = options;
    const stated = { clusterId, clusterDomain, trustDomain, rootNamespace, dryRunPolicies };
    const mesh = { ...defaultMeshSettings, ...stated };
    const request = isRequest(options) ? requestOf(options, to) : undefined;
    const { record, waypoints, problems } = await explainOffline(
      { config, mesh },
      { from, to },
      request,
    );
    for (const problem of problems) io.stderr(`ambit: ${problem}\n`);
    const { verdict, text } = record;
    return withWaypoints({ verdict, text, json: record }, waypoints);
  } catch (thrown) {
    if (thrown instanceof WhyQuestionError || thrown instanceof WaypointQuestionError)
      throw new CommandFailure(thrown.message, { cause: thrown });
    throw thrown;
  }
}

function withWaypoints(answer: Answer, waypoints: readonly WaypointAnswer[]): Answer {
  if (waypoints.length === 0) return answer;
  const verdict = combined(answer.verdict, waypoints);
  return {
    verdict,
    text: [...answer.text, ...answerLines(waypoints, verdict)],
    json: { ...Object(answer.json), verdict, waypoints: waypoints.map(({ json }) => json) },
  };
}

/** `host:port` is as good as a URL. */
function adminUrl(text: string, option: string): string {
  const url = text.includes("://") ? text : `http://${text}`;
  if (!URL.canParse(url)) throw new UsageFailure(`${option}: expected a URL, not "${text}"`);
  return url;
}
