/** Carries out every case's table with one kind of waypoint before the pods. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { CaseMesh, type Driving } from "../../../support/waypoint/cases/mesh.ts";
import { goldenDir } from "../../../support/waypoint/cases/resources.ts";
import { tables } from "./tables.ts";

export const cases: readonly string[] = readdirSync(goldenDir).filter((name) =>
  name.startsWith("l7-"),
);

/** Fewer would not show a case. */
const LEAST_LOOKS = 6;

export function runTables(driving: Driving): void {
  const only = process.env["CASE"];
  test("every recorded case has a table, and no table is thin", () => {
    assert.equal(cases.length, 18);
    assert.deepEqual(tables.map(({ golden }) => golden).sort(), [...cases].sort());
    for (const { golden, looks } of tables) {
      assert.ok(looks.length >= LEAST_LOOKS, `${golden} has ${looks.length} looks`);
      assert.equal(new Set(looks.map(({ name }) => name)).size, looks.length, golden);
    }
  });

  for (const { golden, looks, around } of tables.filter(
    ({ golden }) => only === undefined || golden === only,
  ))
    describe(golden, () => {
      let mesh: CaseMesh | undefined;
      before(async () => {
        mesh = new CaseMesh(golden, driving);
        await around?.(mesh);
        await mesh.start();
      });
      after(() => mesh?.close());

      if (driving.by === "ambit")
        test("the waypoint takes all resources", () =>
          assert.deepEqual(mesh?.stage.player.refusals, []));
      for (const { name, run, notEnvoy } of looks)
        test(name, { skip: driving.by === "envoy" && notEnvoy !== undefined && notEnvoy }, () => {
          assert.ok(mesh !== undefined);
          return run(mesh);
        });
    });
}
