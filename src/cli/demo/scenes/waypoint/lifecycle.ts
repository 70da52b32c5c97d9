/** The waypoint comes, is replaced, dies, and goes: what of it requests notice. */
import { systemClock } from "../../../../shared/base/clock.ts";
import { DATABASE_PORT, ECHO_PORT, HTTP_PORT, LAST_PATH } from "../../apps/protocol.ts";
import type { Scene } from "../../scene.ts";
import { serviceIp, WAYPOINT } from "../../shop.ts";
import { eventually, expect, type Stage } from "../../stage.ts";
import type { RunningWaypoint } from "../../waypoint-pods.ts";
import { underLoad } from "../load.ts";
import { reportWire } from "../wire.ts";
import {
  ask,
  attempt,
  burst,
  catalog,
  expectAll,
  PUSH_DEADLINE_MS,
  serviceCallers,
  untilReply,
  WAYPOINT_IDENTITY,
} from "./helpers.ts";
import { waypointObjects } from "./objects.ts";

const LOG_DEADLINE_MS = 3_000;
const FILE = "waypoint";

/** The label by which the namespace's services are behind the waypoint. */
export function useWaypoint(stage: Stage, used: boolean): void {
  stage.enroll(true, used ? { "istio.io/use-waypoint": WAYPOINT } : {});
}

/** Objects, process, label; resolves when requests of web go through it. */
export async function bringUpWaypoint(stage: Stage): Promise<RunningWaypoint> {
  stage.folder.write(FILE, waypointObjects);
  const waypoint = await stage.waypoints.start();
  useWaypoint(stage, true);
  await untilThroughWaypoint(stage);
  return waypoint;
}

async function untilThroughWaypoint(stage: Stage): Promise<void> {
  const mark = stage.waypoints.record.mark();
  await eventually("no request went through the waypoint", PUSH_DEADLINE_MS, async () => {
    await attempt(stage, { path: "/whose-way" });
    return (
      stage.waypoints.record.since(mark).some(({ path }) => path === "/whose-way") || undefined
    );
  });
}

/** Label and objects go, then the process. */
export async function takeDownWaypoints(stage: Stage): Promise<void> {
  useWaypoint(stage, false);
  stage.folder.remove(FILE);
  for (const waypoint of stage.waypoints.running) await stage.waypoints.stop(waypoint);
}

function onlyWaypoint(stage: Stage): RunningWaypoint {
  const [waypoint, other] = stage.waypoints.running;
  expect(waypoint !== undefined && other === undefined, "not exactly one waypoint runs");
  return waypoint;
}

export const waypointInThePath: Scene = {
  name: "waypoint-in-the-path",
  title: "A waypoint is put before the shop's services under load; the pods see its identity",
  play: async (stage) => {
    const { outcome, requests } = await underLoad(
      stage,
      () => bringUpWaypoint(stage),
      serviceCallers,
    );
    const mark = stage.access.mark();
    const { greeting } = await ask(stage, { path: LAST_PATH });
    const { ip } = stage.pod(outcome.pod);
    expect(greeting?.clientIp === ip, `the catalog saw ${greeting?.clientIp} instead of ${ip}`);
    const entry = await eventually(
      () => `no such connection was logged: ${JSON.stringify(stage.access.since(mark))}`,
      LOG_DEADLINE_MS,
      () =>
        stage.access
          .since(mark)
          .find(
            ({ direction, sourceIdentity, destinationWorkload }) =>
              direction === "inbound" &&
              sourceIdentity === WAYPOINT_IDENTITY &&
              destinationWorkload === greeting.pod,
          ),
    );
    return `${requests} requests, none failed; ${entry.destinationWorkload} is called by ${entry.sourceIdentity}`;
  },
};

export const tcpThroughWaypoint: Scene = {
  name: "tcp-through-waypoint",
  title: "TCP goes through the waypoint as well, also where the server speaks first",
  play: async (stage) => {
    const mark = stage.waypoints.record.mark();
    const app = stage.app("orders");
    const host = serviceIp("db");
    const { greeting } = await app.call("open", { session: "l7-sql", host, port: DATABASE_PORT });
    const { answer } = await app.call("ask", { session: "l7-sql", question: "select 7" });
    await app.call("close", { session: "l7-sql" });
    expect(answer.endsWith("select 7"), `the database answered "${answer}"`);
    const bytes = 8 << 20;
    const moved = await app.call("transfer", { host, port: ECHO_PORT, bytes });
    expect(moved.bytes === bytes, `${moved.bytes} of ${bytes} bytes came back`);
    expect(moved.sentSha256 === moved.receivedSha256, "the hashes differ");
    await eventually("the waypoint logged no TCP connection", LOG_DEADLINE_MS, () =>
      stage.waypoints.record
        .since(mark)
        .find(({ method, cluster }) => method === undefined && cluster.includes("db")),
    );
    return `"${greeting.split(" ").slice(1).join(" ")}"; ${bytes >> 20} MiB there and back, same SHA-256`;
  },
};

export const waypointReplaced: Scene = {
  name: "waypoint-replaced-under-load",
  title: "The waypoint is replaced under load, and no request fails",
  play: async (stage) => {
    const before = onlyWaypoint(stage);
    const { outcome, requests, longestMs } = await underLoad(
      stage,
      async () => {
        const after = await stage.waypoints.start();
        const toldMs = systemClock.monotonicMs();
        const exit = await stage.waypoints.stop(before);
        return { after, exit, drainMs: Math.round(systemClock.monotonicMs() - toldMs) };
      },
      serviceCallers,
    );
    const { after, exit, drainMs } = outcome;
    expect(exit.code === 0, `the old one ended with ${exit.signal ?? exit.code}`);
    return `${before.pod} drained in ${drainMs} ms and gave way to ${after.pod}; ${requests} requests, none failed, slowest ${longestMs} ms`;
  },
};

export const waypointKilled: Scene = {
  name: "waypoint-killed",
  title: "The waypoint is killed; with the next one everything is back",
  play: async (stage) => {
    const waypoint = onlyWaypoint(stage);
    await stage.waypoints.kill(waypoint);
    const killedMs = systemClock.monotonicMs();
    const { status } = await attempt(stage);
    expect(status !== 200, "a request was answered without a waypoint");
    stage.waypoints.forget(waypoint.pod);
    const next = await stage.waypoints.start();
    await untilReply(stage, "the catalog is not back", (reply) => reply.status === 200);
    const backMs = Math.round(systemClock.monotonicMs() - killedMs);
    expectAll(await burst(stage, 60));
    return `refused meanwhile; with ${next.pod} back ${backMs} ms after the end of ${waypoint.pod}, then 60 of 60`;
  },
};

export const waypointGone: Scene = {
  name: "waypoint-gone-fails-closed",
  title: "Without any waypoint its services are shut, never reached around it",
  play: async (stage) => {
    await stage.waypoints.stop(onlyWaypoint(stage));
    const mark = stage.link.mark();
    const path = "/around";
    for (let round = 0; round < 6; round++) {
      const { status } = await attempt(stage, { path });
      expect(status !== 200, "the catalog answered without its waypoint");
    }
    for (const pod of ["catalog-v1", "catalog-v2"]) {
      const { requests } = await stage.app(pod).call("seen", { path });
      expect(requests.length === 0, `${pod} was reached around the waypoint`);
    }
    const { readable } = reportWire(stage.link.since(mark));
    expect(readable.length === 0, "payload crossed the link in clear");
    const direct = { host: stage.pod("catalog-v2").ip, port: HTTP_PORT };
    const { greeting } = await stage.app("web").call("get", direct);
    await takeDownWaypoints(stage);
    await untilReply(stage, "the catalog is not back", (reply) => reply.status === 200);
    expectAll(await burst(stage, 40));
    return `refused 6 times, seen by nobody; ${greeting.pod}'s own address answers; without the label ${catalog.host} does, too`;
  },
};
