/**
 * The demo's play with Istio's own ztunnel on some nodes, under our control plane, CA and node agent. Set ZTUNNEL_BIN to the
 * binary; without it the suite is skipped and says so. Nothing of the reference is part of this repository.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { playScene } from "../../../src/cli/demo/scene.ts";
import { scenes } from "../../../src/cli/demo/scenes/all.ts";
import type { Stage } from "../../../src/cli/demo/stage.ts";
import { closeStage, openStage } from "../../support/stage.ts";

/** Scenes about the memory of our own process. */
const ownScenes = new Set(["memory-idle", "memory-stable"]);

/** What the reference does not promise where it takes connections in; the scenes play on node2. */
const beyondReference: Readonly<Record<string, string>> = {
  "deny-closes-open-connection":
    "the reference judges open connections by the policy list of the moment they were opened (wire sheet, section 5.6)",
  "ztunnel-replaced-under-load":
    "the reference loses a new connection now and then when it is replaced",
};

/** Plays every scene with the reference on these nodes. */
export function playWithReferenceOn(nodes: readonly string[]): void {
  const binary = process.env["ZTUNNEL_BIN"] ?? "";
  const skip = existsSync(binary) ? false : "ZTUNNEL_BIN names no binary of the reference ztunnel";
  describe(`the reference ztunnel on ${nodes.join(" and ")}`, { skip }, () => {
    let stage: Stage;
    before(async () => {
      stage = await openStage({
        enrolled: false,
        ztunnelProgram: (node) => (nodes.includes(node) ? [binary] : undefined),
      });
    });
    after(() => closeStage(stage));
    for (const scene of scenes.filter(({ name }) => !ownScenes.has(name)))
      test(scene.title, {
        skip: nodes.includes("node2") && beyondReference[scene.name],
      }, async () => {
        const check = await playScene(scene, stage);
        assert.ok(check.ok, check.detail);
      });
  });
}
