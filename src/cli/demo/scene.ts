/** A scene: one thing the demo does, and the one statement it checks by looking from outside. */
import { systemClock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import type { Stage } from "./stage.ts";

export interface Scene {
  /** Name of the check, for scripts. */
  readonly name: string;
  /** What is to be seen, for people. */
  readonly title: string;
  /** Resolves to what was seen; rejects when the statement does not hold. */
  readonly play: (stage: Stage) => Promise<string>;
}

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** A scene that hangs is a failed scene. */
const SCENE_DEADLINE_MS = 40_000;

export async function playScene(scene: Scene, stage: Stage): Promise<Check> {
  const over = new AbortController();
  const timeout = systemClock.sleep(SCENE_DEADLINE_MS, over.signal).then(() => {
    throw new Error(`not over after ${SCENE_DEADLINE_MS / 1_000} s`);
  });
  timeout.catch(() => undefined);
  try {
    const detail = await Promise.race([scene.play(stage), timeout]);
    return { name: scene.name, ok: true, detail };
  } catch (thrown) {
    return { name: scene.name, ok: false, detail: describeError(thrown) };
  } finally {
    over.abort();
  }
}
