/** Connections that are open and say nothing. */
import type { Ground } from "../ground.ts";

const OPEN_DEADLINE_MS = 60_000;

/** Runs in the client's pod: opens so many connections a hundred at a time, says so, and waits for its end. */
const script = `
const [host, port, count] = process.argv.slice(1);
const { connect } = require("node:net");
const sockets = [];
const open = () => new Promise((resolve, reject) => {
  const socket = connect({ host, port: Number(port), localAddress: undefined }, () => resolve());
  socket.on("error", reject);
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
export async function openIdleConnections(
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
