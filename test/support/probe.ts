/** One bare TCP connection from a namespace: what a client without manners would see. */
import type { World } from "../../src/cli/world/world.ts";

export interface ProbeResult {
  readonly outcome: "refused" | "reset" | "closed" | "silent" | "unreachable";
  /** What came back before the end. */
  readonly data: string;
}

const script = `
const net = require("net");
const [host, port, text, quietMs] = process.argv.slice(1);
let data = "";
const end = (outcome) => { process.stdout.write(JSON.stringify({ outcome, data })); process.exit(0); };
const socket = net.connect({ host, port: Number(port) });
socket.setTimeout(Number(quietMs), () => end("silent"));
socket.on("connect", () => socket.write(text));
socket.on("data", (chunk) => { data += chunk.toString("latin1"); });
socket.on("end", () => end("closed"));
socket.on("error", (error) => end(error.code === "ECONNREFUSED" ? "refused" : error.code === "ECONNRESET" ? "reset" : "unreachable"));
`;

/** Connects, writes `text`, and waits for the end or for `quietMs` without anything. */
export async function probe(
  world: World,
  namespace: string,
  host: string,
  port: number,
  text: string,
  quietMs = 1_500,
): Promise<ProbeResult> {
  const command = [process.execPath, "-e", script, host, String(port), text, String(quietMs)];
  const { stdout, stderr } = await world.run(namespace, command);
  if (!stdout.startsWith("{")) throw new Error(`the probe failed: ${stderr}`);
  return JSON.parse(stdout) as ProbeResult;
}
