/** What the demo shows, as data: who is in the mesh, what connections are made, how the scenes went. */
import type { Pod, Topology } from "../world/topology.ts";
import { type AccessEntry, policyVerdict } from "./access-log.ts";
import type { RequestEvent } from "./apps/client.ts";
import type { Check } from "./scene.ts";
import { isProxyPod, WAYPOINT } from "./shop.ts";
import { refusingPolicy, type WaypointEntry } from "./waypoint-log.ts";

export interface PodView {
  readonly name: string;
  readonly ip: string;
  readonly identity: string;
  readonly inMesh: boolean;
  /** Set for waypoints, which are shown while they run. */
  readonly waypointMb?: number;
}

export interface NodeView {
  readonly name: string;
  readonly ip: string;
  readonly pods: readonly PodView[];
  /** Undefined while none runs. */
  readonly ztunnel: { readonly name: string; readonly residentMb: number } | undefined;
}

/** Connections of one kind, counted together. */
export interface ConnectionView {
  readonly from: string;
  readonly to: string;
  readonly identity: string;
  /** A request at a waypoint, or a connection at a node proxy. */
  readonly how: "request" | "tunnel" | "plain";
  readonly verdict: "ok" | "denied" | "failed";
  readonly why: string;
  readonly count: number;
}

export type SceneView =
  | { readonly state: "waiting" | "playing"; readonly name: string; readonly title: string }
  | ({ readonly state: "done"; readonly title: string } & Check);

export interface PictureState {
  readonly nodes: readonly NodeView[];
  /** Latest first. */
  readonly connections: readonly ConnectionView[];
  readonly scenes: readonly SceneView[];
  readonly elapsedSeconds: number;
  /** What goes on apart from the scenes; may be empty. */
  readonly note: string;
}

const KEPT_KINDS = 40;

/** `spiffe://cluster.local/ns/shop/sa/web` as `shop/web`. */
function shortIdentity(identity: string | undefined): string {
  const parts = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(identity ?? "");
  return parts === null ? "" : `${parts[1]}/${parts[2]}`;
}

/** What an access log entry says in the picture; undefined when the other node's entry says it better. */
function connectionOf(
  entry: AccessEntry,
  nameOf: (address: string) => string,
): Omit<ConnectionView, "count"> | undefined {
  const tunneled = entry.hboneAddress !== undefined;
  // A tunneled connection is logged on both sides; the destination's side knows the policy.
  if (entry.direction === "outbound" && tunneled && entry.error === undefined) return undefined;
  if (entry.direction === "outbound" && entry.error?.includes("401") === true) return undefined;
  const denied = policyVerdict(entry);
  const failed = entry.error !== undefined;
  return {
    from: entry.sourceWorkload ?? nameOf(entry.sourceAddress),
    to: entry.destinationWorkload ?? nameOf(entry.hboneAddress ?? entry.destinationAddress),
    identity: shortIdentity(entry.sourceIdentity),
    how: tunneled ? "tunnel" : "plain",
    verdict: denied !== undefined ? "denied" : failed ? "failed" : "ok",
    why: denied ?? entry.error ?? "",
  };
}

/** What a waypoint says of a request: its client, the pod that answered, and who answered in its place. */
function requestOf(
  entry: WaypointEntry,
  nameOf: (address: string) => string,
): Omit<ConnectionView, "count"> {
  const { method, status, flags, details, upstream, authority, client } = entry;
  const refusal = refusingPolicy(entry);
  const failed = method === undefined ? flags !== "" : status >= 400;
  return {
    from: nameOf(client),
    to: upstream === "" ? (authority.split(":")[0] ?? "") : nameOf(upstream),
    identity: method === undefined ? "TCP" : `${method} ${status}`,
    how: "request",
    verdict: refusal !== undefined ? "denied" : failed ? "failed" : "ok",
    why: refusal ?? (failed ? [flags, details].filter((text) => text !== "").join(" ") : ""),
  };
}

export class Picture {
  readonly #topology: Topology;
  readonly #inMesh = new Set<string>();
  readonly #kinds = new Map<string, ConnectionView>();
  readonly #waypointMb = new Map<string, number>();
  readonly #ztunnels = new Map<string, { name: string; residentMb: number }>();
  #scenes: SceneView[] = [];
  #elapsedSeconds = 0;
  #note = "";

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  state(): PictureState {
    return {
      nodes: this.#topology.nodes.map(({ name, ip }) => ({
        name,
        ip,
        ztunnel: this.#ztunnels.get(name),
        pods: this.#topology.pods
          .filter((pod) => pod.node === name && this.#isShown(pod))
          .map((pod) => this.#podView(pod)),
      })),
      connections: [...this.#kinds.values()].reverse(),
      scenes: this.#scenes,
      elapsedSeconds: this.#elapsedSeconds,
      note: this.#note,
    };
  }

  setInMesh(uids: readonly string[]): void {
    this.#inMesh.clear();
    for (const uid of uids) this.#inMesh.add(uid);
  }

  setZtunnel(node: string, name: string, residentMb: number): void {
    this.#ztunnels.set(node, { name, residentMb });
  }

  /** Those that run, by pod, with their resident memory. */
  setWaypoints(residentMb: ReadonlyMap<string, number>): void {
    this.#waypointMb.clear();
    for (const [pod, megabytes] of residentMb) this.#waypointMb.set(pod, megabytes);
  }

  setScenes(scenes: readonly SceneView[], elapsedSeconds: number): void {
    this.#scenes = [...scenes];
    this.#elapsedSeconds = elapsedSeconds;
  }

  setNote(note: string): void {
    this.#note = note;
  }

  addAccess(entry: AccessEntry): void {
    const connection = connectionOf(entry, (address) => this.#nameOf(address));
    if (connection !== undefined) this.#count(connection);
  }

  addWaypoint(entry: WaypointEntry): void {
    this.#count(requestOf(entry, (address) => this.#nameOf(address)));
  }

  /** Requests between pods outside the mesh appear in no access log, so the application's word counts. */
  addRequest(event: RequestEvent): void {
    const from = this.#topology.pods.find(({ name }) => name === event.from);
    const to = this.#topology.pods.find(({ name }) => name === event.to);
    const logged = [from, to].some((pod) => pod !== undefined && this.#inMesh.has(pod.uid));
    if (logged) return;
    this.#count({
      from: event.from,
      to: event.to,
      identity: "",
      how: "plain",
      verdict: event.ok ? "ok" : "failed",
      why: event.reason,
    });
  }

  #isShown(pod: Pod): boolean {
    return !isProxyPod(pod) || (pod.app === WAYPOINT && this.#waypointMb.has(pod.name));
  }

  #podView(pod: Pod): PodView {
    const waypointMb = this.#waypointMb.get(pod.name);
    return {
      name: pod.name,
      ip: pod.ip,
      identity: `${pod.namespace}/${pod.serviceAccount}`,
      inMesh: this.#inMesh.has(pod.uid),
      ...(waypointMb === undefined ? {} : { waypointMb }),
    };
  }

  #count(connection: Omit<ConnectionView, "count">): void {
    const { from, to, identity, how, verdict, why } = connection;
    const key = [from, to, identity, how, verdict, why].join("|");
    const count = (this.#kinds.get(key)?.count ?? 0) + 1;
    // Deleted and set again, so that the map's order is the order of the latest event.
    this.#kinds.delete(key);
    this.#kinds.set(key, { ...connection, count });
    const oldest = this.#kinds.keys().next().value;
    if (this.#kinds.size > KEPT_KINDS && oldest !== undefined) this.#kinds.delete(oldest);
  }

  #nameOf(address: string): string {
    const ip = address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
    return this.#topology.pods.find((pod) => pod.ip === ip || pod.ip6 === ip)?.name ?? address;
  }
}
