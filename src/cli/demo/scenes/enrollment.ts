/** Into the mesh and out of it again, while requests go on. */
import { systemClock } from "../../../shared/base/clock.ts";
import { DATABASE_PORT, ECHO_PORT, HTTP_PORT } from "../apps/protocol.ts";
import type { Scene } from "../scene.ts";
import { eventually, expect, type Stage } from "../stage.ts";
import { underLoad } from "./load.ts";
import { describePacket, reportWire } from "./wire.ts";

const ENROLLMENT_DEADLINE_MS = 15_000;
/** Opened before enrollment and used after it. */
const EARLY_SESSION = "before-enrollment";

/** Waits until the node agents report exactly these pods of the shop, in or out. */
async function untilRedirected(stage: Stage, inside: boolean): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  const uids = stage.shopPods.map(({ uid }) => uid);
  await eventually(
    `not all pods of the shop ${inside ? "entered" : "left"} the mesh in time`,
    ENROLLMENT_DEADLINE_MS,
    async () => {
      const redirected = await stage.redirectedUids();
      return uids.every((uid) => redirected.includes(uid) === inside) || undefined;
    },
  );
  return systemClock.monotonicMs() - startedMs;
}

export const plaintextBefore: Scene = {
  name: "plaintext-before-enrollment",
  title: "Before: requests between the nodes can be read on the wire",
  play: async (stage) => {
    const mark = stage.link.mark();
    const target = { host: stage.pod("catalog-v2").ip, port: HTTP_PORT };
    const { greeting } = await stage.app("web").call("get", target);
    const { readable } = reportWire(stage.link.since(mark));
    const [first] = readable;
    expect(first !== undefined, "the request did not show on the link");
    await stage
      .app("orders")
      .call("open", { session: EARLY_SESSION, host: stage.pod("db").ip, port: DATABASE_PORT });
    return `${greeting.pod} answered; ${readable.length} readable packets, such as ${describePacket(first)}`;
  },
};

export const enrollRunningPods: Scene = {
  name: "enroll-without-failure",
  title: "A label on the namespace enrolls running pods, and no request fails",
  play: async (stage) => {
    const { outcome, requests, longestMs } = await underLoad(stage, async () => {
      stage.enroll(true);
      return untilRedirected(stage, true);
    });
    return `${stage.shopPods.length} pods in ${Math.round(outcome)} ms; ${requests} requests, none failed, slowest ${longestMs} ms`;
  },
};

export const earlyConnectionLeftAlone: Scene = {
  name: "early-connection-left-alone",
  title: "A connection from before goes on undisturbed",
  play: async (stage) => {
    const orders = stage.app("orders");
    const { answer } = await orders.call("ask", { session: EARLY_SESSION, question: "stock" });
    expect(answer.endsWith("stock"), `the database answered "${answer}"`);
    await orders.call("close", { session: EARLY_SESSION });
    return "it still answers, outside the tunnel as it began";
  },
};

export const releaseByLabel: Scene = {
  name: "release-by-label",
  title: "Without the label the pods are out again, and no request fails",
  play: async (stage) => {
    const { outcome, requests } = await underLoad(stage, async () => {
      stage.enroll(false);
      return untilRedirected(stage, false);
    });
    await eventually("rules were left behind in a pod", 5_000, async () => {
      const rules = await Promise.all(
        stage.shopPods.map(({ netns }) => stage.world.run(netns, ["nft", "list", "tables"])),
      );
      return rules.every(({ stdout }) => stdout.trim() === "") || undefined;
    });
    const mark = stage.link.mark();
    const db = { host: stage.pod("db").ip, port: ECHO_PORT };
    await stage.app("web").call("transfer", { ...db, bytes: 1_000 });
    const { readable } = reportWire(stage.link.since(mark));
    expect(readable.length > 0, "requests still cannot be read on the link");
    return `${Math.round(outcome)} ms, ${requests} requests, none failed; no rule left in any pod; plaintext again`;
  },
};
