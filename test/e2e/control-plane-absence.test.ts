import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { underLoad } from "../../src/cli/demo/scenes/load.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import { closeStage, configDump, http, openStage, untilAnswers } from "../support/stage.ts";

/** Renewal is due after half of it, so the control plane is missed long before anything expires. */
const CERTIFICATE_TTL_S = 30;

let stage: Stage;

before(async () => {
  stage = await openStage({ ztunnelEnv: { SECRET_TTL: `${CERTIFICATE_TTL_S}s` } });
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
});

after(() => closeStage(stage));

/** Serial numbers of the leaf certificates in force, by identity. */
async function serials(node: string): Promise<ReadonlyMap<string, string>> {
  const { certificates } = await configDump(stage, node);
  return new Map(
    certificates.map(({ identity, certChain }) => [identity, certChain?.[0]?.serialNumber ?? ""]),
  );
}

function sameSerials(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([identity, serial]) => b.get(identity) === serial);
}

test("a control plane that dies under load and misses renewals costs no connection", async (t) => {
  const node = "node1";
  const held = await serials(node);
  assert.ok(held.size > 0 && ![...held.values()].includes(""), "no certificates in force");
  const { outcome, requests, longestMs } = await underLoad(stage, async () => {
    stage.mesh.controlPlane.kill("SIGKILL");
    await stage.mesh.controlPlane.exited;
    // Fresh certificates were fetched at the start of the stage; by now each of them asked for its successor in vain.
    await delay((CERTIFICATE_TTL_S / 2 + 3) * 1_000);
    const missed = await serials(node);
    await stage.mesh.startControlPlane();
    return missed;
  });
  assert.ok(sameSerials(outcome, held), "certificates changed while nobody could sign them");
  t.diagnostic(`${requests} requests, none failed, slowest ${longestMs} ms`);
  await eventually("certificates were not renewed", CERTIFICATE_TTL_S * 1_000, async () => {
    const renewed = await serials(node);
    return [...held].every(([identity, serial]) => renewed.get(identity) !== serial) || undefined;
  });
  const after = await underLoad(stage, () => Promise.resolve());
  assert.ok(after.requests > 0);
});
