/**
 * The bare data path on two nodes: client, proxy, link, proxy, server, in a sandbox of its own; no policy, no redirection,
 * no log. What it prints is the floor that the product cannot go below.
 *
 *   node test/bench/datapath/run.ts [--seconds 3] [--rounds 2] [--tests bulk1,bulk4,c1,c32,conn,mixed] [--against <checkout>]
 *
 * With --against the same is measured with the proxies of another checkout, interleaved, as variant B. All processes share
 * the machine's cores, so CPU per unit (user and system time of both proxies) says more than the rate.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { isInsideSandbox, probeSandbox, runInSandbox } from "../../../src/cli/world/sandbox.ts";

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "2" },
    tests: { type: "string", default: "bulk1,bulk4,c1,c32,conn,mixed" },
    against: { type: "string" },
    node: { type: "string", default: process.execPath },
  },
});

if (!isInsideSandbox()) {
  const kind = probeSandbox(["ip", "iperf3", "wrk", "openssl"]);
  process.exit(runInSandbox(kind, [process.execPath, ...process.argv.slice(1)]));
}

const seconds = Number(options.seconds);
const dir = mkdtempSync(join(tmpdir(), "ambit-bench-"));
const nodeFlags = ["--max-semi-space-size=1", "--single-threaded-gc"];
const bulkPort = 15_001;
const requestPort = 15_002;
const ownProxy = resolve(import.meta.dirname, "proxy.ts");

function sh(command: string): void {
  execFileSync("sh", ["-ec", command], { stdio: ["ignore", "ignore", "inherit"] });
}

/** Two namespaces on a bridge, as two nodes would be. */
function layNetwork(): void {
  sh("mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; ip link set lo up");
  sh("ip link add br0 type bridge; ip link set br0 up");
  for (const index of [1, 2]) {
    sh(`ip netns add n${index}; ip link add v${index} type veth peer name eth0 netns n${index}`);
    sh(`ip link set v${index} master br0; ip link set v${index} up`);
    sh(`ip -n n${index} addr add 10.9.0.${index}/24 dev eth0; ip -n n${index} link set eth0 up`);
    sh(`ip -n n${index} link set lo up`);
  }
  const curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  const files = `-keyout ${dir}/key.pem -out ${dir}/cert.pem -days 2 -subj /CN=bench`;
  sh(`openssl req -x509 ${curve} ${files} 2>/dev/null`);
}

/** `ip netns exec` becomes the program, so the pid is the program's. */
function start(node: 1 | 2, command: readonly string[]): ChildProcess {
  return spawn("ip", ["netns", "exec", `n${node}`, ...command], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

async function run(node: 1 | 2, command: readonly string[]): Promise<string> {
  const child = spawn("ip", ["netns", "exec", `n${node}`, ...command]);
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  await new Promise((done) => child.once("close", done));
  return output;
}

async function listening(node: 1 | 2, port: number): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const { stdout } = spawnSync("ip", ["netns", "exec", `n${node}`, "ss", "-Hltn"]);
    if (String(stdout).includes(`:${port} `)) return;
    await delay(100);
  }
  throw new Error(`nothing listens on ${port}`);
}

/** User and system time in ms. */
function cpuMs(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function anonymousMb(pid: number | undefined): number {
  const line = /RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Math.round(Number(line?.[1]) / 1024);
}

interface Load {
  /** Requests or gigabytes. */
  readonly units: number;
  readonly text: string;
}

async function bulk(streams: number, duration: number): Promise<Load> {
  const args = [
    "-c",
    "127.0.0.1",
    "-p",
    String(bulkPort),
    "-t",
    String(duration),
    "-P",
    String(streams),
  ];
  const report = JSON.parse(await run(1, ["iperf3", ...args, "-J"]));
  const { bytes, bits_per_second: rate } = report.end.sum_received;
  return { units: bytes / 1e9, text: `${(rate / 1e9).toFixed(2)} Gbit/s` };
}

async function requests(clients: number, duration: number, close: boolean): Promise<Load> {
  const extra = close ? ["-H", "Connection: close"] : [];
  const args = ["-t1", `-c${clients}`, `-d${duration}s`, "--latency", ...extra];
  const report = await run(1, ["wrk", ...args, `http://127.0.0.1:${requestPort}/`]);
  const number = (pattern: RegExp): string => pattern.exec(report)?.[1] ?? "?";
  const percentiles = `p50 ${number(/\s50%\s+(\S+)/)} p99 ${number(/\s99%\s+(\S+)/)}`;
  const perSecond = `${number(/Requests\/sec:\s+(\S+)/)}/s`;
  return { units: Number(number(/(\d+) requests in/)), text: `${perSecond} ${percentiles}` };
}

/** Four clients with small requests on the session that carries four bulk streams. */
async function beside(duration: number): Promise<Load> {
  const background = bulk(4, duration + 1);
  await delay(500);
  const small = await requests(4, duration, false);
  const { text } = await background;
  return { units: small.units, text: `${small.text} beside ${text}` };
}

function load(test: string, duration: number): Promise<Load> {
  if (test.startsWith("bulk")) return bulk(Number(test.slice(4)), duration);
  if (test === "mixed") return beside(duration);
  if (test === "conn") return requests(32, duration, true);
  return requests(Number(test.slice(1)), duration, false);
}

async function measure(variant: string, proxy: string, test: string): Promise<void> {
  const isBulk = test.startsWith("bulk");
  const program = [options.node, ...nodeFlags, proxy];
  const inbound = start(2, [...program, "inbound", "15008", "127.0.0.1", dir]);
  const ports = `${bulkPort}=5201,${requestPort}=8080`;
  const outbound = start(1, [...program, "outbound", ports, "10.9.0.2:15008", dir]);
  try {
    await Promise.all([listening(2, 15_008), listening(1, bulkPort)]);
    await load(test === "conn" ? "c32" : test, 1);
    const before = [cpuMs(inbound.pid), cpuMs(outbound.pid)] as const;
    const { units, text } = await load(test, seconds);
    const used = cpuMs(inbound.pid) + cpuMs(outbound.pid) - before[0] - before[1];
    const inboundUsed = cpuMs(inbound.pid) - before[0];
    const each = (ms: number): string =>
      isBulk ? `${Math.round(ms / units)} ms/GB` : `${((ms * 1000) / units).toFixed(1)} us`;
    const memory = `${anonymousMb(inbound.pid)}+${anonymousMb(outbound.pid)} MB anonymous`;
    console.log(
      `${variant} ${test}: ${text}, CPU ${each(used)} (inbound ${each(inboundUsed)}), ${memory}`,
    );
  } finally {
    for (const child of [inbound, outbound]) {
      const closed = new Promise((done) => child.once("close", done));
      child.kill("SIGKILL");
      await closed;
    }
  }
}

layNetwork();
start(2, ["iperf3", "-s"]);
start(2, [process.execPath, ownProxy, "app", "8080"]);
await Promise.all([listening(2, 5201), listening(2, 8080)]);
for (let round = 0; round < Number(options.rounds); round++) {
  for (const test of options.tests.split(",")) {
    await measure("A", ownProxy, test);
    if (options.against !== undefined)
      await measure("B", resolve(options.against, "test/bench/datapath/proxy.ts"), test);
  }
}
rmSync(dir, { recursive: true });
process.exit(0);
