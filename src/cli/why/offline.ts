/** Answers from object files alone: objects → translation → the state of a node proxy → its decisions. Nothing runs. */
import { type OfflineMesh, offlineMesh } from "../../controlplane/offline.ts";
import { offlineWaypointResources } from "../../controlplane/offline-waypoint.ts";
import type { MeshSettings } from "../../controlplane/translate/settings.ts";
import { systemClock } from "../../shared/base/clock.ts";
import { MeshStore } from "../../shared/model/store.ts";
import { openFileSource, problemText } from "../../shared/objects/file/source.ts";
import type { ObjectSnapshot } from "../../shared/objects/source.ts";
import { readRedirectionStatuses, redirectionStatusDir } from "../../shared/status/redirection.ts";
import { createLogger, LogFilter } from "../../shared/telemetry/logger.ts";
import type { WaypointRequest } from "../../waypoint/why/record.ts";
import { illegalPorts } from "../../ztunnel/proxy/route.ts";
import type { WhyRecord } from "../../ztunnel/why/record.ts";
import { explainConnection, type WhyQuestion } from "../../ztunnel/why.ts";
import { askOffline, type WaypointAnswer, waypointsOf } from "./waypoint.ts";

export interface OfflineOptions {
  readonly config: string;
  readonly mesh: MeshSettings;
}

export interface OfflineAnswer {
  readonly record: WhyRecord;
  /** Of those that the record names, when a request was asked about. */
  readonly waypoints: readonly WaypointAnswer[];
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

/** `request`: what waypoints are asked about; undefined asks none. */
export async function explainOffline(
  { config, mesh }: OfflineOptions,
  question: WhyQuestion,
  request: WaypointRequest | undefined,
): Promise<OfflineAnswer> {
  const snapshot = await readObjects(config);
  const redirected = await readRedirected(config);
  const offline = offlineMesh(snapshot, mesh, redirected);
  const record = explainMesh(offline, mesh, question);
  const problems = snapshot.problems.map(problemText);
  const waypoints: WaypointAnswer[] = [];
  for (const waypoint of request === undefined ? [] : waypointsOf(record.paths)) {
    const workload = offline.workload(waypoint.uid);
    if (workload === undefined || request === undefined) continue;
    const resources = offlineWaypointResources(snapshot, mesh, redirected, workload);
    const { answer, refused } = await askOffline(waypoint, request, resources, systemClock);
    waypoints.push(answer);
    problems.push(...refused.map((one) => `the waypoint would refuse: ${one}`));
  }
  return { record, waypoints, problems };
}
