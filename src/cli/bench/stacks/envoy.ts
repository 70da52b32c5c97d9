/** Envoy as a process of a stack. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "../../../shared/base/clock.ts";
import type { ManagedProcess } from "../../world/process.ts";
import type { Ground } from "../ground.ts";
import { ADMIN_PORT } from "./envoy-parts.ts";

const READY_DEADLINE_MS = 20_000;

/** The binary: ENVOY_BIN, else the one that scripts/prepare.sh fetched; undefined when there is none. */
export function envoyBinary(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const cache = env["XDG_CACHE_HOME"] ?? join(env["HOME"] ?? homedir(), ".cache");
  const binary = env["ENVOY_BIN"] ?? join(cache, "ambit", "envoy-1.40.0", "bin", "envoy");
  return existsSync(binary) ? binary : undefined;
}

export interface EnvoyOptions {
  readonly binary: string;
  /** In whose network namespace it runs. */
  readonly pod: string;
  readonly bootstrap: object;
  /** Worker threads. */
  readonly concurrency: number;
}

/** Resolves when it listens. */
export async function startEnvoy(
  ground: Ground,
  { binary, pod, bootstrap, concurrency }: EnvoyOptions,
): Promise<ManagedProcess> {
  const config = ground.world.path(`envoy/${pod}.json`);
  mkdirSync(dirname(config), { recursive: true });
  writeFileSync(config, JSON.stringify(bootstrap));
  const { netns } = ground.pod(pod);
  const child = ground.world.start(netns, {
    name: `envoy ${pod}`,
    command: [
      binary,
      ...["-c", config],
      ...["--concurrency", String(concurrency)],
      ...["--log-level", "warning"],
      "--disable-hot-restart",
    ],
  });
  const deadlineMs = systemClock.monotonicMs() + READY_DEADLINE_MS;
  const look = ["curl", "-s", `http://127.0.0.1:${ADMIN_PORT}/ready`];
  for (;;) {
    const { stdout } = await ground.world.run(netns, look);
    if (stdout.startsWith("LIVE")) return child;
    if (!child.running || systemClock.monotonicMs() > deadlineMs)
      throw child.failure("is not ready");
    await systemClock.sleep(50);
  }
}
