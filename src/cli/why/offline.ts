/** Answers from object files alone: objects → translation → the state of a node proxy → its decisions. Nothing runs. */
import { type OfflineMesh, offlineMesh } from "../../controlplane/offline.ts";
import type { MeshSettings } from "../../controlplane/translate/settings.ts";
import { systemClock } from "../../shared/base/clock.ts";
import { MeshStore } from "../../shared/model/store.ts";
import { openFileSource, problemText } from "../../shared/objects/file/source.ts";
import type { ObjectSnapshot } from "../../shared/objects/source.ts";
import { readRedirectionStatuses, redirectionStatusDir } from "../../shared/status/redirection.ts";
import { createLogger, LogFilter } from "../../shared/telemetry/logger.ts";
import { illegalPorts } from "../../ztunnel/proxy/route.ts";
import type { WhyRecord } from "../../ztunnel/why/record.ts";
import { explainConnection, type WhyQuestion } from "../../ztunnel/why.ts";

export interface OfflineOptions {
  readonly config: string;
  readonly mesh: MeshSettings;
}

export interface OfflineAnswer {
  readonly record: WhyRecord;
  /** What of the input did not take effect. */
  readonly problems: readonly string[];
}

async function readObjects(path: string): Promise<ObjectSnapshot> {
  const log = createLogger(
    { clock: systemClock, filter: new LogFilter("off"), format: "plain", write: () => undefined },
    "source",
  );
  const source = await openFileSource({ clock: systemClock, log }, path);
  source.close();
  return source.snapshot;
}

/** The node agents' lists, exactly as the control plane reads them. */
async function readRedirected(path: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const readings = await readRedirectionStatuses(await redirectionStatusDir(path));
  return new Map(
    readings.flatMap((reading) =>
      reading.kind === "status" ? [[reading.status.node, new Set(reading.status.pods)]] : [],
    ),
  );
}

export function explainMesh(
  { update, remarks }: OfflineMesh,
  mesh: MeshSettings,
  question: WhyQuestion,
): WhyRecord {
  const store = new MeshStore();
  store.apply(update);
  return explainConnection(
    {
      view: store,
      network: undefined,
      clusterDomain: mesh.clusterDomain,
      preferredNamespace: undefined,
      ipv6Enabled: true,
      illegalPorts: illegalPorts({ socks5: false }),
      localhostAppTunnel: true,
      remarks,
    },
    question,
  );
}

export async function explainOffline(
  { config, mesh }: OfflineOptions,
  question: WhyQuestion,
): Promise<OfflineAnswer> {
  const snapshot = await readObjects(config);
  const offline = offlineMesh(snapshot, mesh, await readRedirected(config));
  return {
    record: explainMesh(offline, mesh, question),
    problems: snapshot.problems.map(problemText),
  };
}
