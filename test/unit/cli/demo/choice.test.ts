/** Which scenes `--only` plays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageFailure } from "../../../../src/cli/command.ts";
import { chooseScenes } from "../../../../src/cli/demo/choice.ts";
import type { Scene } from "../../../../src/cli/demo/scene.ts";
import { play } from "../../../../src/cli/demo/scenes/all.ts";

const names = (scenes: readonly Scene[]): readonly string[] => scenes.map(({ name }) => name);
const opening = ["plaintext-before-enrollment", "enroll-without-failure"];

test("without names all of the play, in its order", () => {
  assert.deepEqual(chooseScenes([], play), play.scenes);
});

test("a scene comes with the opening, in the order of the play", () => {
  assert.deepEqual(names(chooseScenes(["ipv6", "identities"], play)), [
    ...opening,
    "identities",
    "ipv6",
  ]);
  assert.deepEqual(names(chooseScenes(["enroll-without-failure"], play)), opening);
});

test("a scene of the second act comes with the one that brings the waypoint up", () => {
  assert.deepEqual(names(chooseScenes(["canary-shift"], play)), [
    ...opening,
    "waypoint-in-the-path",
    "canary-shift",
  ]);
});

test("names that no scene has are refused, with those that there are", () => {
  assert.throws(
    () => chooseScenes(["ipv6", "ip5", ""], play),
    (thrown) =>
      thrown instanceof UsageFailure &&
      /^no scene is called "ip5", ""; there are: memory-idle, .*release-by-label$/.test(
        thrown.message,
      ),
  );
});
