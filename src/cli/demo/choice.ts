/** Which scenes a call asks for. Pure. */
import { UsageFailure } from "../command.ts";
import type { Scene } from "./scene.ts";

export interface Play {
  /** All of it, in order. */
  readonly scenes: readonly Scene[];
  /** Played in any case: the others need the mesh that they begin. */
  readonly opening: readonly Scene[];
  /** Need the waypoint that the first of them brings up. */
  readonly secondAct: readonly Scene[];
}

/** The scenes of these names, with those that they build on; all when none is named. Throws UsageFailure for other names. */
export function chooseScenes(only: readonly string[], play: Play): readonly Scene[] {
  const { scenes, opening, secondAct } = play;
  if (only.length === 0) return scenes;
  const known = new Set(scenes.map(({ name }) => name));
  const unknown = only.filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new UsageFailure(
      `no scene is called ${unknown.map((name) => `"${name}"`).join(", ")}; there are: ${[...known].join(", ")}`,
    );
  const chosen = new Set([...only, ...opening.map(({ name }) => name)]);
  const [first] = secondAct;
  if (first !== undefined && secondAct.some(({ name }) => chosen.has(name))) chosen.add(first.name);
  return scenes.filter(({ name }) => chosen.has(name));
}
