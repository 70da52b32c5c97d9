/** Connections that were used once and then say nothing. */
import { systemClock } from "../../../shared/base/clock.ts";
import type { Ground } from "../ground.ts";
import { cpuMs, residentMb } from "../meter.ts";
import type { Sample } from "../spec.ts";
import { pidsOf } from "../stacks/stack.ts";
import { ports } from "../topology.ts";
import type { LoadContext } from "./context.ts";

const OPEN_DEADLINE_MS = 60_000;
/** What was needed to open them is settled by then. */
const SETTLE_MS = 1_000;
const WATCH_MS = 1_000;

/** Runs in the client's pod: opens so many connections a hundred at a time, one request on each, says so, and waits for its end. */
const script = `
const [host, port, count] = process.argv.slice(1);
const { connect } = require("node:net");
const sockets = [];
const open = () => new Promise((resolve, reject) => {
  const socket = connect({ host, port: Number(port) }, () =>
    socket.write("GET /1k HTTP/1.1\\r\\nHost: server\\r\\n\\r\\n"));
  socket.once("data", () => resolve());
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("a connection was closed")));
  sockets.push(socket);
});
(async () => {
  for (let left = Number(count); left > 0; left -= 100)
    await Promise.all(Array.from({ length: Math.min(100, left) }, open));
  console.log("open");
})().catch((error) => { console.error(error.message); process.exit(1); });
setInterval(() => undefined, 60_000);
`;

/** Resolves when all are open, with the way to close them. */
async function openIdleConnections(
  ground: Ground,
  host: string,
  port: number,
  count: number,
): Promise<() => Promise<void>> {
  const child = ground.world.start(ground.pod("client").netns, {
    name: "idle connections",
    command: [process.execPath, "-e", script, host, String(port), String(count)],
  });
  await child.waitForLine((line) => line === "open", OPEN_DEADLINE_MS, "that all are open");
  return async () => {
    await child.stop("SIGKILL");
  };
}

export async function idle({ ground, stack, spec }: LoadContext): Promise<readonly Sample[]> {
  const load = "idle";
  const { idleConnections } = spec;
  const pids = pidsOf(stack.dataPath);
  const before = residentMb(pids);
  const close = await openIdleConnections(ground, stack.host, ports.idle, idleConnections);
  await systemClock.sleep(SETTLE_MS);
  const grownMb = residentMb(pids) - before;
  const usedMs = cpuMs(pids);
  await systemClock.sleep(WATCH_MS);
  const cores = (cpuMs(pids) - usedMs) / WATCH_MS;
  await close();
  if (pids.length === 0) return [];
  return [
    {
      load,
      figure: "memory",
      unit: "KB/connection",
      value: (grownMb * 1024) / idleConnections,
    },
    { load, figure: "CPU", unit: "cores", value: cores },
    {
      load,
      figure: "largest process",
      unit: "MB",
      value: Math.max(...pids.map((pid) => residentMb([pid]))),
    },
  ];
}
