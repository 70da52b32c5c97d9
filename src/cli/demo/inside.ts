/** The demo itself, running as process 1 of its sandbox: opens the stage, plays the scenes, shows the picture. */
import { systemClock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { CommandFailure, type CommandIo } from "../command.ts";
import { layOut } from "../world/topology.ts";
import { HTTP_PORT } from "./apps/protocol.ts";
import { chooseScenes } from "./choice.ts";
import { Picture, type PictureState, type SceneView } from "./picture.ts";
import { type Check, playScene, type Scene } from "./scene.ts";
import { play } from "./scenes/all.ts";
import { NODES, serviceIp, shop } from "./shop.ts";
import { Stage } from "./stage.ts";

export interface DemoOptions {
  readonly once: boolean;
  readonly json: boolean;
  /** Only scenes whose name is listed are played, and those that they build on. */
  readonly only: readonly string[];
}

/** Takes the picture whenever it may have changed. */
export interface Display {
  show(state: PictureState): void;
  sceneDone(check: Check, title: string): void;
  note(text: string): void;
  close(): void;
}

const REFRESH_MS = 200;
const LINGER_NOTE = "The scenes are over; the shop works on inside the mesh. Ctrl-C ends it all.";

export async function runInside(
  io: CommandIo,
  options: DemoOptions,
  program: readonly string[],
  display: Display,
): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  const picture = new Picture(layOut(shop));
  const checks: Check[] = [];
  const elapsed = (): number => (systemClock.monotonicMs() - startedMs) / 1_000;
  const stage = await openStage(program, picture);
  const refresh = systemClock.every(REFRESH_MS, () => void refreshPicture(stage, picture, display));
  try {
    await playAll(
      chooseScenes(options.only, play),
      stage,
      picture,
      display,
      checks,
      elapsed,
      io.shutdown,
    );
    if (options.json) io.stdout(`${JSON.stringify(summaryOf(checks, elapsed()), null, 2)}\n`);
    if (!options.once && !io.shutdown.aborted) await linger(stage, picture, display, io.shutdown);
  } finally {
    refresh.cancel();
    display.close();
    await stage.close();
  }
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length > 0)
    throw new CommandFailure(
      `${failed.length} of ${checks.length} checks failed: ${failed.map(({ name }) => name).join(", ")}`,
    );
}

async function openStage(program: readonly string[], picture: Picture): Promise<Stage> {
  try {
    return await Stage.open(program, {
      onAccess: (entry) => picture.addAccess(entry),
      onWaypoint: (entry) => picture.addWaypoint(entry),
      onRequest: (event) => picture.addRequest(event),
    });
  } catch (thrown) {
    throw new CommandFailure(`Cannot set up the mesh: ${describeError(thrown)}`, { cause: thrown });
  }
}

function summaryOf(checks: readonly Check[], seconds: number): object {
  return {
    checks,
    ok: checks.every(({ ok }) => ok),
    seconds: Math.round(seconds * 10) / 10,
  };
}

async function playAll(
  chosen: readonly Scene[],
  stage: Stage,
  picture: Picture,
  display: Display,
  checks: Check[],
  elapsed: () => number,
  shutdown: AbortSignal,
): Promise<void> {
  const views: SceneView[] = chosen.map(({ name, title }) => ({ state: "waiting", name, title }));
  const show = (): void => picture.setScenes(views, elapsed());
  for (const [position, scene] of chosen.entries()) {
    if (shutdown.aborted) return;
    views[position] = { state: "playing", name: scene.name, title: scene.title };
    show();
    const check = await playScene(scene, stage);
    checks.push(check);
    views[position] = { state: "done", title: scene.title, ...check };
    show();
    display.sceneDone(check, scene.title);
  }
}

async function refreshPicture(stage: Stage, picture: Picture, display: Display): Promise<void> {
  picture.setInMesh(await stage.redirectedUids().catch(() => []));
  for (const node of NODES) {
    const { pod, process: child } = stage.mesh.ztunnel(node);
    picture.setZtunnel(node, pod.name, child.residentKib() / 1024);
  }
  picture.setWaypoints(
    new Map(
      stage.waypoints.running.map(({ pod, process: child }) => [pod, child.residentKib() / 1024]),
    ),
  );
  display.show(picture.state());
}

/** After the play: the shop goes back into the mesh and works on until somebody ends it. */
async function linger(
  stage: Stage,
  picture: Picture,
  display: Display,
  shutdown: AbortSignal,
): Promise<void> {
  try {
    picture.setNote(LINGER_NOTE);
    display.note(LINGER_NOTE);
    stage.enroll(true);
    const targets = [
      { host: serviceIp("catalog"), port: 80 },
      { host: serviceIp("orders"), port: 80 },
      { host: stage.pod("legacy").ip, port: HTTP_PORT },
    ];
    await stage.app("web").call("loadStart", { load: "linger", targets, perSecond: 4 });
    await stage.app("legacy").call("loadStart", { load: "linger", targets, perSecond: 1 });
    await new Promise((resolve) => shutdown.addEventListener("abort", resolve, { once: true }));
  } catch (thrown) {
    if (!shutdown.aborted)
      throw new CommandFailure(`the shop stopped working: ${describeError(thrown)}`, {
        cause: thrown,
      });
  }
}
