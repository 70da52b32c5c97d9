/** What a running ztunnel holds, after a garbage collection that Node's own inspector is asked for (SIGUSR1 opens it). */
import assert from "node:assert/strict";
import type { Stage } from "../../src/cli/demo/stage.ts";

export interface Memory {
  readonly residentMb: number;
  readonly heapMb: number;
}

/** Runs inside the ztunnel's network namespace, where its inspector listens on the loopback. */
const collectScript = `
const pages = await (async () => {
  for (let tries = 0; ; tries++) {
    try { return await (await fetch("http://127.0.0.1:9229/json/list")).json(); }
    catch (error) { if (tries > 100) throw error; await new Promise((resolve) => setTimeout(resolve, 20)); }
  }
})();
const socket = new WebSocket(pages[0].webSocketDebuggerUrl);
await new Promise((resolve) => { socket.onopen = resolve; });
let nextId = 1;
const ask = (method, params) => new Promise((resolve) => {
  const id = nextId++;
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.id === id) resolve(message.result);
  });
  socket.send(JSON.stringify({ id, method, params }));
});
for (let round = 0; round < 3; round++) await ask("HeapProfiler.collectGarbage");
const { usedSize } = await ask("Runtime.getHeapUsage");
process.stdout.write(String(usedSize));
socket.close();
`;

/** Collects garbage in the ztunnel of a node and reads what is left. */
export async function memoryAfterCollection(stage: Stage, node: string): Promise<Memory> {
  const { pod, process: ztunnel } = stage.mesh.ztunnel(node);
  ztunnel.kill("SIGUSR1");
  const command = [process.execPath, "--input-type=module", "-e", collectScript];
  const { stdout, stderr } = await stage.world.run(pod.netns, command);
  assert.match(stdout, /^\d+$/, stderr);
  return { residentMb: ztunnel.residentKib() / 1024, heapMb: Number(stdout) / 2 ** 20 };
}
