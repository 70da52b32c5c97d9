/** Everything a scene may use: the world, its applications, the mesh, the link, and what the ztunnels report. */
import { systemClock } from "../../shared/base/clock.ts";
import { readRedirectionStatuses, redirectionStatusDir } from "../../shared/status/redirection.ts";
import { LinkCapture } from "../world/capture.ts";
import { Mesh, type MeshOptions } from "../world/mesh.ts";
import { startNameServer } from "../world/name-server.ts";
import { type NamespaceLabels, namespaceObject, ObjectFolder } from "../world/objects.ts";
import { linkOf, type Pod, podOf } from "../world/topology.ts";
import { World } from "../world/world.ts";
import { type AccessEntry, parseAccessLine } from "./access-log.ts";
import { type RequestEvent, ShopApp } from "./apps/client.ts";
import { Population } from "./population.ts";
import { EntryRecord } from "./record.ts";
import {
  isProxyPod,
  LEGACY_NAMESPACE,
  SHOP_NAMESPACE,
  SYSTEM_NAMESPACE,
  shop,
  ZTUNNEL_SERVICE_ACCOUNT,
} from "./shop.ts";
import { parseWaypointLine, type WaypointEntry } from "./waypoint-log.ts";
import { WaypointPods } from "./waypoint-pods.ts";

export interface StageListener {
  onAccess(entry: AccessEntry): void;
  onWaypoint(entry: WaypointEntry): void;
  onRequest(event: RequestEvent): void;
}

export type StageOptions = Pick<MeshOptions, "ztunnelProgram" | "ztunnelEnv">;

export class Stage {
  readonly world: World;
  readonly mesh: Mesh;
  readonly folder: ObjectFolder;
  readonly link: LinkCapture;
  readonly access: EntryRecord<AccessEntry>;
  readonly waypoints: WaypointPods;
  readonly #apps: ReadonlyMap<string, ShopApp>;
  readonly #population: Population;

  constructor(parts: StageParts) {
    const { world, mesh, folder, access, waypoints, apps, population } = parts;
    this.world = world;
    this.mesh = mesh;
    this.folder = folder;
    this.access = access;
    this.waypoints = waypoints;
    this.#apps = apps;
    this.#population = population;
    this.link = new LinkCapture(linkOf("node1"));
  }

  /** Builds the world and starts every process; nobody is enrolled yet. */
  static async open(
    program: readonly string[],
    listener: StageListener,
    options: StageOptions = {},
  ): Promise<Stage> {
    const world = await World.create(shop);
    try {
      return await furnish(world, program, listener, options);
    } catch (thrown) {
      await world.close();
      throw thrown;
    }
  }

  app(name: string): ShopApp {
    const app = this.#apps.get(name);
    if (app === undefined) throw new RangeError(`no application "${name}" in the shop`);
    return app;
  }

  pod(name: string): Pod {
    return podOf(this.world.topology, name);
  }

  /** The pods that the label on the shop's namespace concerns. */
  get shopPods(): readonly Pod[] {
    return this.world.topology.pods.filter(
      (pod) => pod.namespace === SHOP_NAMESPACE && !isProxyPod(pod),
    );
  }

  /** Uids of the pods whose traffic is redirected, as the node agents report. */
  async redirectedUids(): Promise<readonly string[]> {
    const readings = await readRedirectionStatuses(await redirectionStatusDir(this.folder.path));
    return readings.flatMap((reading) => (reading.kind === "status" ? reading.status.pods : []));
  }

  /** Puts the shop's namespace into the mesh, or takes it out; `labels`: others that it has besides. */
  enroll(enrolled: boolean, labels: NamespaceLabels = {}): void {
    writeEnrollment(this.folder, enrolled, labels);
  }

  /** Takes a pod out of the objects, as deleting it would. */
  removePod(name: string): void {
    this.#population.set(name, "absent");
  }

  async close(): Promise<void> {
    this.link.close();
    await this.world.close();
  }
}

interface StageParts {
  readonly world: World;
  readonly mesh: Mesh;
  readonly folder: ObjectFolder;
  readonly access: EntryRecord<AccessEntry>;
  readonly waypoints: WaypointPods;
  readonly apps: ReadonlyMap<string, ShopApp>;
  readonly population: Population;
}

async function furnish(
  world: World,
  program: readonly string[],
  listener: StageListener,
  options: StageOptions,
): Promise<Stage> {
  await startNameServer(world.topology);
  const folder = new ObjectFolder(world.path("objects"));
  const population = new Population(folder, world.topology);
  folder.write("system", [namespaceObject(SYSTEM_NAMESPACE), namespaceObject(LEGACY_NAMESPACE)]);
  writeEnrollment(folder, false);
  const apps = new Map(
    world.topology.pods
      .filter((pod) => !isProxyPod(pod))
      .map((pod) => [pod.name, ShopApp.start(world, pod, program)]),
  );
  for (const app of apps.values()) app.onRequest((event) => listener.onRequest(event));
  const access = new EntryRecord<AccessEntry>();
  const mesh = new Mesh(world, {
    ...options,
    program,
    config: folder.path,
    serviceAccount: `${SYSTEM_NAMESPACE}/${ZTUNNEL_SERVICE_ACCOUNT}`,
    onZtunnelLine: (node, line) => {
      const entry = parseAccessLine(node, line);
      if (entry === undefined) return;
      access.add(entry);
      listener.onAccess(entry);
    },
  });
  await Promise.all([mesh.start(), ...[...apps.values()].map((app) => app.ready)]);
  const waypoints = new WaypointPods(mesh, population, (line) => {
    const entry = parseWaypointLine(line);
    if (entry !== undefined) listener.onWaypoint(entry);
    return entry;
  });
  return new Stage({ world, mesh, folder, access, waypoints, apps, population });
}

function writeEnrollment(
  folder: ObjectFolder,
  enrolled: boolean,
  labels: NamespaceLabels = {},
): void {
  const mode = enrolled ? { "istio.io/dataplane-mode": "ambient" } : {};
  folder.write("shop", [namespaceObject(SHOP_NAMESPACE, { ...mode, ...labels })]);
}

/** What a scene saw to be wrong. */
class CheckFailed extends Error {
  override readonly name = "CheckFailed";
}

export function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new CheckFailed(otherwise);
}

/** Asks every few milliseconds until the answer is not undefined; fails with `otherwise` when the time is over. */
export async function eventually<T>(
  otherwise: string | (() => string),
  timeoutMs: number,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = systemClock.monotonicMs() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (systemClock.monotonicMs() > deadlineMs)
      throw new CheckFailed(typeof otherwise === "string" ? otherwise : otherwise());
    await systemClock.sleep(20);
  }
}
