/** Into the mesh and out of it again, while requests go on. */
import { systemClock } from "../../../shared/base/clock.ts";
import { DATABASE_PORT, ECHO_PORT, HTTP_PORT, type LoadResult } from "../apps/protocol.ts";
import type { Scene } from "../scene.ts";
import { serviceIp } from "../shop.ts";
import { eventually, expect, type Stage } from "../stage.ts";
import { describePacket, reportWire } from "./wire.ts";

/** Rate per application; every request is a connection of its own. */
const REQUESTS_PER_SECOND = 40;
const SETTLE_MS = 1_500;
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

/** Runs `act` under load from three applications to both nodes; the load must not lose a single request. */
export async function underLoad<T>(
  stage: Stage,
  act: () => Promise<T>,
): Promise<{ readonly outcome: T; readonly requests: number; readonly longestMs: number }> {
  const catalog = { host: serviceIp("catalog"), port: 80 };
  const direct = { host: stage.pod("catalog-v2").ip, port: HTTP_PORT };
  const orders = { host: serviceIp("orders"), port: 80 };
  const callers = [
    { app: stage.app("web"), targets: [catalog, orders, direct] },
    { app: stage.app("orders"), targets: [catalog] },
    { app: stage.app("catalog-v2"), targets: [orders] },
  ];
  const load = `load-${systemClock.monotonicMs()}`;
  await Promise.all(
    callers.map(({ app, targets }) =>
      app.call("loadStart", { load, targets, perSecond: REQUESTS_PER_SECOND }),
    ),
  );
  const end = (): Promise<LoadResult[]> =>
    Promise.all(callers.map(({ app }) => app.call("loadEnd", { load })));
  try {
    await systemClock.sleep(SETTLE_MS / 2);
    const outcome = await act();
    await systemClock.sleep(SETTLE_MS);
    const results = await end();
    const failure = results.flatMap(({ failures }) => failures)[0];
    const failed = results.reduce((sum, result) => sum + result.failed, 0);
    const requests = results.reduce((sum, result) => sum + result.ok, 0);
    expect(
      failed === 0,
      `${failed} of ${requests + failed} requests failed, the first to ${failure?.target}: ${failure?.reason}`,
    );
    expect(requests > 50, `only ${requests} requests were made`);
    return { outcome, requests, longestMs: Math.max(...results.map((r) => r.longestMs)) };
  } catch (thrown) {
    await end().catch(() => undefined);
    throw thrown;
  }
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
