/** A large mesh on disk, for tests that measure with one. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { largeMesh, type MeshSize } from "../../src/cli/world/large-mesh.ts";
import { isFullScale } from "./scale.ts";

/** What is promised, or a fifth of it. */
export const meshSize: MeshSize = isFullScale
  ? { workloads: 10_000, services: 2_000, policies: 1_000 }
  : { workloads: 2_000, services: 400, policies: 200 };

/** The objects of a large mesh on disk, to be put below the folder that the roles watch and taken away again, all at once. */
export class LargeMesh {
  readonly #parked: string;
  readonly #place: string;
  #present = false;

  /** `folder` is watched, `parking` is not; both on one file system. */
  constructor(folder: string, parking: string, size: MeshSize) {
    this.#place = join(folder, "large");
    this.#parked = join(parking, "large");
    mkdirSync(this.#parked, { recursive: true });
    // JSON is YAML, and is written in a tenth of the time.
    for (const { name, objects } of largeMesh(size))
      writeFileSync(
        join(this.#parked, `${name}.yaml`),
        objects.map((object) => JSON.stringify(object)).join("\n---\n"),
      );
  }

  /** Puts it there or takes it away. */
  show(present: boolean): void {
    if (present === this.#present) return;
    this.#present = present;
    if (present) renameSync(this.#parked, this.#place);
    else renameSync(this.#place, this.#parked);
  }
}
