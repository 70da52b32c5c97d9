/** `ambit controlplane`: turns objects into what the node proxies are told, and issues their certificates. */
import { Command } from "commander";
import { startControlPlane } from "../controlplane/app.ts";
import { defaultMeshSettings } from "../controlplane/translate/settings.ts";
import { systemClock } from "../shared/base/clock.ts";
import type { ListenAddress } from "../shared/net/listen-address.ts";
import { createLineWriter } from "../shared/telemetry/line-writer.ts";
import { createLogger, type LogFilter } from "../shared/telemetry/logger.ts";
import type { CommandIo } from "./command.ts";
import { listenAddress, logFilter, logFormat } from "./options.ts";

interface ControlPlaneArguments {
  readonly config: string;
  readonly stateDir: string;
  readonly grpcAddr: ListenAddress;
  readonly secureGrpcAddr: ListenAddress;
  readonly httpAddr: ListenAddress;
  readonly monitoringAddr: ListenAddress;
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly rootNamespace: string;
  readonly revision: string;
  readonly dryRunPolicies: boolean;
  readonly log: LogFilter;
  readonly logFormat: "plain" | "json";
}

const THIRTY_MINUTES_MS = 30 * 60_000;

export function build(io: CommandIo): Command {
  const mesh = defaultMeshSettings;
  return new Command()
    .requiredOption("--config <file|dir>", "Kubernetes objects in YAML, watched for changes")
    .requiredOption("--state-dir <dir>", "keys, certificates and what must survive a restart")
    .addOption(
      listenAddress(
        "--grpc-addr",
        "xDS and CA in plaintext, for this machine only",
        "127.0.0.1:15010",
      ),
    )
    .addOption(
      listenAddress("--secure-grpc-addr", "xDS and CA over TLS, with tokens", "0.0.0.0:15012"),
    )
    .addOption(listenAddress("--http-addr", "debug pages", "127.0.0.1:8080"))
    .addOption(listenAddress("--monitoring-addr", "metrics", "127.0.0.1:15014"))
    .option("--cluster-id <id>", "name of the cluster in workload ids", mesh.clusterId)
    .option("--trust-domain <domain>", "trust domain of identities", mesh.trustDomain)
    .option("--cluster-domain <domain>", "DNS suffix of services", mesh.clusterDomain)
    .option(
      "--root-namespace <namespace>",
      "policies here apply to the whole mesh",
      mesh.rootNamespace,
    )
    .option("--revision <name>", "leave configuration labelled for other revisions", mesh.revision)
    .option(
      "--dry-run-policies",
      "send policies marked as a dry run, to be evaluated and reported",
      false,
    )
    .addOption(logFilter("ads"))
    .addOption(logFormat())
    .action((options: ControlPlaneArguments) => run(options, io.shutdown));
}

async function run(options: ControlPlaneArguments, shutdown: AbortSignal): Promise<void> {
  const lines = createLineWriter(1, systemClock);
  const log = createLogger(
    { clock: systemClock, filter: options.log, format: options.logFormat, write: lines.write },
    "controlplane",
  );
  try {
    const running = await startControlPlane(
      { clock: systemClock, log },
      {
        configPath: options.config,
        stateDir: options.stateDir,
        grpc: options.grpcAddr,
        secureGrpc: options.secureGrpcAddr,
        http: options.httpAddr,
        monitoring: options.monitoringAddr,
        mesh: {
          clusterId: options.clusterId,
          clusterDomain: options.clusterDomain,
          trustDomain: options.trustDomain,
          rootNamespace: options.rootNamespace,
          revision: options.revision,
          dryRunPolicies: options.dryRunPolicies,
        },
        maxConnectionAgeMs: THIRTY_MINUTES_MS,
      },
    );
    await aborted(shutdown);
    log.info("stopping");
    await running.stop();
    log.info("stopped");
  } finally {
    lines.flush();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
