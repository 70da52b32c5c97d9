/** When a change to the mesh takes effect on the client's connections. */
import { systemClock } from "../../../shared/base/clock.ts";
import type { Ground } from "../ground.ts";

/**
 * Runs in the client's pod and makes one connection with one request after the other. At each change between answers and
 * none it prints "up" or "down" and when the first attempt began that met it, in milliseconds since 1970.
 */
const script = `
const { connect } = require("node:net");
const [host, port] = process.argv.slice(1);
const now = () => performance.timeOrigin + performance.now();
let last = "";
const attempt = () => {
  const began = now();
  let answer = "";
  const socket = connect({ host, port: Number(port), timeout: 1000 }, () =>
    socket.write("GET /1k HTTP/1.1\\r\\nHost: server\\r\\nConnection: close\\r\\n\\r\\n"));
  socket.on("data", (bytes) => { answer += bytes.toString("latin1", 0, 32); });
  socket.on("timeout", () => socket.destroy());
  socket.on("error", () => undefined);
  socket.on("close", () => {
    const state = answer.startsWith("HTTP/1.1 200") ? "up" : "down";
    if (state !== last) console.log(state, began);
    last = state;
    setTimeout(attempt, 1);
  });
};
attempt();
`;

const EFFECT_DEADLINE_MS = 60_000;

export interface Change {
  readonly shutOut: () => void;
  readonly letIn: () => void;
}

/** From each change to the first attempt that met it: the client is shut out and let in again, so many times. */
export async function effectsMs(
  ground: Ground,
  host: string,
  port: number,
  { shutOut, letIn }: Change,
  times: number,
): Promise<readonly number[]> {
  const probe = ground.world.start(ground.pod("client").netns, {
    name: "probe",
    command: [process.execPath, "-e", script, host, String(port)],
  });
  const met = async (state: "up" | "down", change: () => void): Promise<number> => {
    const changedMs = systemClock.wallMs();
    change();
    const line = await probe.nextLine(
      (text) => text.startsWith(`${state} `),
      EFFECT_DEADLINE_MS,
      `that the client is ${state === "up" ? "let in" : "shut out"}`,
    );
    return Number(line.split(" ")[1]) - changedMs;
  };
  try {
    await probe.waitForLine((line) => line.startsWith("up"), EFFECT_DEADLINE_MS, "an answer");
    const effects: number[] = [];
    for (let time = 0; time < times; time++)
      effects.push(await met("down", shutOut), await met("up", letIn));
    return effects;
  } finally {
    await probe.stop("SIGKILL");
  }
}
