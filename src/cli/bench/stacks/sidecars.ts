/** An Envoy beside each of the two pods: what the mesh without sidecars is compared with. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../shared/base/clock.ts";
import type { ManagedProcess } from "../../world/process.ts";
import type { Ground } from "../ground.ts";
import { BENCH_NAMESPACE, ports } from "../topology.ts";
import { writeCertificates } from "./certificates.ts";
import { sidecarBootstrap, sidecarRules } from "./envoy-config.ts";
import type { Stack } from "./stack.ts";

const READY_DEADLINE_MS = 20_000;
/** What sidecar meshes give a proxy that was given no CPU limit of its own. */
const CONCURRENCY = "2";

/** The binary: ENVOY_BIN, else the one that scripts/prepare.sh fetched; undefined when there is none. */
export function envoyBinary(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const cache = env["XDG_CACHE_HOME"] ?? join(env["HOME"] ?? homedir(), ".cache");
  const binary = env["ENVOY_BIN"] ?? join(cache, "ambit", "envoy-1.40.0", "bin", "envoy");
  return existsSync(binary) ? binary : undefined;
}

export async function openSidecars(ground: Ground, envoy: string): Promise<Stack> {
  const startedMs = systemClock.monotonicMs();
  const folder = ground.world.path("sidecars");
  mkdirSync(folder, { recursive: true });
  const accounts = ["client", "server"] as const;
  const certificates = writeCertificates(folder, BENCH_NAMESPACE, accounts);
  const processes: ManagedProcess[] = [];
  for (const account of accounts) {
    const certificate = certificates.get(account);
    if (certificate === undefined) continue;
    const inbound = account === "server";
    const { netns } = ground.pod(account);
    const other = inbound ? "client" : "server";
    const side = {
      certificate,
      peer: `spiffe://cluster.local/ns/${BENCH_NAMESPACE}/sa/${other}`,
      accessLog: `${folder}/${account}.log`,
      adminPort: 15000,
    };
    const config = `${folder}/${account}.json`;
    writeFileSync(config, JSON.stringify(sidecarBootstrap(side, inbound)));
    const command = [
      envoy,
      "-c",
      config,
      "--concurrency",
      CONCURRENCY,
      "--log-level",
      "warning",
      "--disable-hot-restart",
    ];
    processes.push(ground.world.start(netns, { name: `envoy ${account}`, command }));
  }
  // Both listen before anything is redirected to them.
  for (const process of processes) await envoyReady(ground, process);
  for (const account of accounts) {
    const { netns } = ground.pod(account);
    const { code, stderr } = await ground.world.run(
      netns,
      ["nft", "-f", "-"],
      sidecarRules(account === "server"),
    );
    if (code !== 0) throw new Error(`cannot redirect to the sidecar: ${stderr}`);
  }
  const host = ground.pod("server").ip;
  const { code } = await ground.inClient([
    "curl",
    "-sfo",
    "/dev/null",
    "--max-time",
    "5",
    `http://${host}:${ports.http}/1k`,
  ]);
  if (code !== 0) throw processes[0]?.failure("passes nothing on") ?? new Error("no sidecars");
  return {
    host,
    dataPath: [{ name: "sidecar", pids: processes.map(({ pid }) => pid) }],
    control: [],
    startedInMs: systemClock.monotonicMs() - startedMs,
  };
}

export async function envoyReady(ground: Ground, process: ManagedProcess): Promise<void> {
  const netns = ground.pod(process.name.slice("envoy ".length)).netns;
  const deadlineMs = systemClock.monotonicMs() + READY_DEADLINE_MS;
  for (;;) {
    const { stdout } = await ground.world.run(netns, [
      "curl",
      "-s",
      "http://127.0.0.1:15000/ready",
    ]);
    if (stdout.startsWith("LIVE")) return;
    if (!process.running || systemClock.monotonicMs() > deadlineMs)
      throw process.failure("is not ready");
    await systemClock.sleep(50);
  }
}
