/** No mesh at all: what the machine, the servers and the load generators can do. */
import type { Ground } from "../ground.ts";
import type { Stack } from "./stack.ts";

export function openDirect(ground: Ground): Stack {
  return { host: ground.pod("server").ip, dataPath: [], control: [], startedInMs: 0 };
}
